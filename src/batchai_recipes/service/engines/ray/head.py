"""Ray's head, as the driver watches it."""

import importlib
import queue
import threading
from collections.abc import Callable
from typing import Final

_PAUSE_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 10.0


class Head:
    """Asks the head again and again whether it is there.

    Ray itself takes a minute to notice that it is not, and then ends the process.

    Args:
        lost: Called, with the reason, when it does not answer.
        looked: Called after each time that it did.
    """

    def __init__(self, *, lost: Callable[[str], None], looked: Callable[[], None]) -> None:
        self._lost = lost
        self._looked = looked

    def watch(self) -> None:
        """Begin, in a thread of its own."""
        threading.Thread(target=self._watch, name="head", daemon=True).start()

    def _watch(self) -> None:
        pause = threading.Event()
        while True:
            problem = _problem()
            if problem:
                self._lost(f"Ray's head does not answer any more ({problem})")
                return
            self._looked()
            pause.wait(_PAUSE_SECONDS)


def _problem() -> str:
    """Ask the head something, and say what is in the way; empty where it answers."""
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_ask, args=(asked,), daemon=True).start()
    try:
        return asked.get(timeout=_PATIENCE_SECONDS)
    except queue.Empty:
        return f"no answer within {_PATIENCE_SECONDS:g} s"


def _ask(asked: "queue.SimpleQueue[str]") -> None:
    try:
        importlib.import_module("ray").util.list_named_actors()
    except Exception as error:  # noqa: BLE001  # whatever Ray says of it
        asked.put(str(error) or type(error).__name__)
    else:
        asked.put("")
