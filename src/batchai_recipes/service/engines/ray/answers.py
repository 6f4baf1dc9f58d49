"""Answers of Ray, and what is done later: both in threads that may wait."""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

Told = Callable[["Future[Any]"], None]
"""Takes in an answer."""

_logger = logging.getLogger(__name__)


class Answers:
    """Hands answers of Ray to functions, one after the other.

    Ray calls back from a thread of its own that must not wait for anything.

    Args:
        failed: Called with what is in the way when an answer cannot be taken in: whoever does not
            hear any more must not go on.
    """

    def __init__(self, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._arrived: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def start(self) -> None:
        """Begin, in a thread of its own."""
        threading.Thread(target=self._hand_out, name="answers", daemon=True).start()

    def ask(self, reference: Any, told: Told) -> None:
        """Have an answer handed to a function.

        Args:
            reference: Ray's reference to the answer.
            told: Called with the answer, once it is there.
        """
        reference.future().add_done_callback(lambda answer: self._arrived.put(lambda: told(answer)))

    def _hand_out(self) -> None:
        while True:
            take_in = self._arrived.get()
            try:
                take_in()
            except Exception as error:
                _logger.exception("An answer of Ray cannot be taken in")
                self._failed(f"an answer of Ray cannot be taken in ({error!r})")


def later(seconds: float, function: Callable[..., None], *arguments: object) -> None:
    """Call a function after some time, in a thread of its own.

    Args:
        seconds: How much later.
        function: What to call.
        arguments: Its arguments.
    """
    timer = threading.Timer(seconds, function, arguments)
    timer.daemon = True
    timer.start()
