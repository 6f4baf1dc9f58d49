"""One run of this program: its volumes, its log, its end."""

import json
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from batchai_recipes.stop_request import StopRequest
from batchai_recipes.volume_sync.copying_back import CopyBack
from batchai_recipes.volume_sync.copying_in import Copied, copy_in
from batchai_recipes.volume_sync.request import (
    FINISH_FILE,
    LISTENING_FILE,
    RESULT_FILE,
    SyncRequest,
)
from batchai_recipes.volume_sync.sync_error import SyncError
from batchai_recipes.volume_sync.volume_copy import VolumeCopy

_LONGEST_PAUSE_SECONDS = 30.0
_SLOW_ROUND = 5.0
"""Between two rounds lies at least this many times what the last one took."""
_FAILURES_TOLD = 5


class Synchronisation:
    """Does what a request asks.

    Args:
        request: The request.
        control: The folder of the request, where the result goes.
        pause: Waits some seconds before an unreachable endpoint is tried again.
    """

    def __init__(
        self, request: SyncRequest, control: Path, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self._request = request
        self._control = control
        self._pause = pause
        self._asked_to_finish = StopRequest()

    def run(self) -> bool:
        """Do it, and write the result beside the request.

        Returns:
            Whether all went well.
        """
        message = ""
        try:
            for note in self._request.notes:
                self._log(note)
            copies = [VolumeCopy(volume) for volume in self._request.volumes]
            if self._request.action == "copy-in":
                self._copy_in(copies)
            else:
                self._copy_back(copies)
        except SyncError as error:
            message = str(error)
            self._log(message)
        write_result(self._control, message)
        return not message

    def _copy_in(self, copies: list[VolumeCopy]) -> None:
        for copy in copies:
            copied = copy_in(copy)
            self._tell_notes([copy])
            self._log(f"{copy.volume}: copied in {copied}")

    def _copy_back(self, copies: list[VolumeCopy]) -> None:
        rounds = [CopyBack(copy) for copy in copies]
        if self._request.action == "follow":
            self._asked_to_finish.set_upon(signal.SIGTERM)
            (self._control / LISTENING_FILE).touch()
            self._follow(rounds, copies)
        self._finish(rounds, copies)

    def _follow(self, rounds: list[CopyBack], copies: list[VolumeCopy]) -> None:
        told: set[str] = set()
        while not self._is_to_finish():
            begun = time.monotonic()
            for back in rounds:
                try:
                    _, failures = back.run(last=False)
                except SyncError as error:
                    failures = (error,)
                for failure in failures:
                    if str(failure) not in told and not failure.temporary:
                        self._log(f"{failure} (it is tried again)")
                        told.add(str(failure))
            self._tell_notes(copies)
            took = time.monotonic() - begun
            self._asked_to_finish.wait(max(self._request.interval_seconds, _SLOW_ROUND * took))

    def _is_to_finish(self) -> bool:
        # Whoever finds that this does not listen yet sends no signal, and leaves the file alone.
        return self._asked_to_finish.is_set() or (self._control / FINISH_FILE).exists()

    def _finish(self, rounds: list[CopyBack], copies: list[VolumeCopy]) -> None:
        deadline = time.monotonic() + self._request.patience_seconds
        for back, copy in zip(rounds, copies, strict=True):
            copied = self._persist(back, deadline)
            self._log(f"{copy.volume}: copied back {copied} after the end")
        self._tell_notes(copies)
        for back in rounds:  # what has just been logged may lie on one of them
            self._persist(back, deadline)

    def _persist(self, back: CopyBack, deadline: float) -> Copied:
        """Copy back a last time, again and again while what is in the way may pass."""
        pause = 1.0
        while True:
            try:
                copied, failures = back.run(last=True)
            except SyncError as error:
                copied, failures = Copied(), (error,)
            if not failures:
                return copied
            if not all(failure.temporary for failure in failures) or time.monotonic() > deadline:
                raise _together(failures)
            self._pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _tell_notes(self, copies: list[VolumeCopy]) -> None:
        for copy in copies:
            for note in copy.untold_notes():
                self._log(note)

    def _log(self, text: str) -> None:
        moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = f"{moment.replace('+00:00', 'Z')} {text}\n"
        if self._request.log:
            log = Path(self._request.log)
            try:
                log.parent.mkdir(parents=True, exist_ok=True)
                with log.open("a", encoding="utf-8") as file:
                    file.write(line)
                return
            except OSError:
                pass  # the volume may be read-only or the disk full: the program's own log has it
        sys.stderr.write(line)


def write_result(control: Path, message: str) -> None:
    """Write how it went, all or nothing.

    Args:
        control: The folder of the request.
        message: What went wrong; empty for nothing.
    """
    temporary = control / f".{RESULT_FILE}.tmp"
    temporary.write_text(json.dumps({"message": message}), encoding="utf-8")
    temporary.replace(control / RESULT_FILE)


def _together(failures: tuple[SyncError, ...]) -> SyncError:
    told = [str(failure) for failure in failures[:_FAILURES_TOLD]]
    more = len(failures) - len(told)
    text = "; ".join(told) + (f"; and {more} more files" if more else "")
    return SyncError(text, temporary=all(failure.temporary for failure in failures))
