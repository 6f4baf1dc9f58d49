"""Removing folders that nobody needs any more, behind the back of whoever is in a hurry."""

import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from batchai_recipes.service.engines.engine import EngineError
from batchai_recipes.service.engines.folders import make_folder, remove_folder

_LONGEST_STOP_SECONDS = 10.0

_logger = logging.getLogger(__name__)


class FolderRemoval:
    """Takes folders out of the way at once and removes them when it can.

    A disk that is written to takes milliseconds for each directory that goes, and a job's temporary
    folder may hold any number of them.

    Args:
        waiting: The folder where they wait for that, on the same file system; what a service that
            was killed left there is removed too.
        before: Called with each folder before it is removed.
    """

    def __init__(self, waiting: Path, before: Callable[[Path], None] = lambda _: None) -> None:
        self._waiting = waiting
        self._before = before
        self._queue: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._deadline: float | None = None

    def start(self) -> None:
        """Begin to remove, in a thread of its own."""
        self._deadline = None
        if self._waiting.is_dir():
            for left in self._waiting.iterdir():
                self._queue.put(left)
        self._thread = threading.Thread(target=self._run, name="folder-removal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Remove what waits, unless that takes long: then the next service does."""
        if self._thread is not None:
            self._deadline = time.monotonic() + _LONGEST_STOP_SECONDS
            self._queue.put(None)
            self._thread.join(_LONGEST_STOP_SECONDS)
            self._thread = None

    def remove(self, folder: Path) -> None:
        """Remove a folder with everything in it, but nothing that its links lead to.

        Args:
            folder: The folder; may be missing. It is out of its place when this returns.

        Raises:
            EngineError: It cannot be moved out of the way.
        """
        if self._thread is None:
            self._before(folder)
            remove_folder(folder)
            return
        place = self._waiting / uuid.uuid4().hex
        try:
            self._move(folder, place)
        except FileNotFoundError:
            return
        except OSError as error:
            raise EngineError(f"The folder {folder} cannot be removed: {error}") from error
        self._queue.put(place)

    def _move(self, folder: Path, place: Path) -> None:
        try:
            folder.rename(place)
        except FileNotFoundError:
            make_folder(self._waiting)
            folder.rename(place)

    def _run(self) -> None:
        while (folder := self._queue.get()) is not None:
            if self._deadline is not None and time.monotonic() > self._deadline:
                return
            try:
                self._before(folder)
                remove_folder(folder)
            except EngineError as error:
                _logger.warning("%s; the next start of the service tries again", error)
            except Exception:  # whatever it is, the other folders go
                _logger.exception("The folder %s stays until the next start", folder)
