"""Copying a volume back: what jobs wrote goes to the volume, what others wrote there stays."""

import time
from collections.abc import Iterable

from attrs import define, field

from batchai_recipes.volume_sync.copy_folder import Scan, Stamp
from batchai_recipes.volume_sync.copying_in import Copied, is_later
from batchai_recipes.volume_sync.crew import Crew
from batchai_recipes.volume_sync.manifest import Entry, Manifest
from batchai_recipes.volume_sync.names import parents_of
from batchai_recipes.volume_sync.sync_error import ChangedMeanwhileError, SyncError, explained
from batchai_recipes.volume_sync.volume_copy import VolumeCopy

_ATTEMPTS = 3
_REST = 20.0
"""A file that keeps changing is sent again after this many times what its last upload took."""


@define
class _Round:
    files: int = 0
    size: int = 0
    failures: dict[str, SyncError] = field(factory=dict)


class CopyBack:
    """Copies one volume back, as often as it is asked to.

    Args:
        copy: The copy.
    """

    def __init__(self, copy: VolumeCopy) -> None:
        self._copy = copy
        self._rest_until: dict[str, float] = {}
        self._yielded: dict[str, Stamp] = {}
        self._broken: SyncError | None = None

    def run(self, *, last: bool) -> tuple[Copied, tuple[SyncError, ...]]:
        """Upload what is new or has changed; the last time also delete what the job deleted.

        Args:
            last: Whether the job has ended.

        Returns:
            What was uploaded, and what went wrong with single files.

        Raises:
            SyncError: The volume as a whole cannot be written.
        """
        begun = time.monotonic()
        copy, self._broken = self._copy, None
        outcome = _Round()
        try:
            if last:
                copy.remote.check()  # an endpoint out of reach is found sooner so
            with copy.held() as manifest:
                scan = copy.folder.scan()
                for path, problem in sorted(scan.skipped.items()):
                    copy.note(f"{path!r} is not copied back: {problem}")
                self._upload(manifest, self._due(manifest, scan, last=last), outcome)
                self._make_directories(manifest, scan)
                if last and self._delete_what_is_gone(manifest, scan):
                    # A file may have had to wait for the directory in whose place it has come.
                    again, outcome.failures = list(outcome.failures), {}
                    self._upload(manifest, again, outcome)
        except SyncError:
            raise
        except Exception as error:
            raise explained(error, copy.volume) from error
        copied = Copied(outcome.files, outcome.size, time.monotonic() - begun)
        return copied, tuple(outcome.failures.values())

    def _due(self, manifest: Manifest, scan: Scan, *, last: bool) -> list[str]:
        now = time.monotonic()
        return [
            path
            for path, stamp in sorted(scan.files.items())
            if (path not in manifest.files or manifest.files[path].stamp != stamp)
            and self._yielded.get(path) != stamp
            and (last or now >= self._rest_until.get(path, 0))
        ]

    def _upload(self, manifest: Manifest, due: list[str], outcome: _Round) -> None:
        due = self._sendable(due, manifest, outcome)
        self._make_parents(manifest, due)

        def send(path: str) -> Entry | SyncError | None:
            if self._broken is not None:
                return self._broken
            try:
                return self._send(path, manifest.files.get(path))
            except Exception as error:  # noqa: BLE001  # one file must not keep back the others
                failure = explained(error, self._copy.volume, path)
                self._broken = failure if failure.whole else self._broken
                return failure

        with Crew() as crew:
            for path, result in crew.each(send, due):
                if isinstance(result, Entry):
                    manifest.files[path] = result
                    outcome.files += 1
                    outcome.size += result.stamp.size
                elif result is not None:
                    outcome.failures[path] = result
        if self._broken is not None:
            raise self._broken

    def _sendable(self, due: list[str], manifest: Manifest, outcome: _Round) -> list[str]:
        """Leave out what the volume cannot hold, and say why."""
        remote, sendable = self._copy.remote, []
        taken = {remote.folded(path): path for path in manifest.files}
        for path in due:
            problem = remote.problem_of(path)
            other = taken.setdefault(remote.folded(path), path)
            if not problem and other != path and self._copy.folder.stamp(other) is not None:
                problem = f"it differs from {other!r} in nothing but case"
            if problem:
                failure = SyncError(f"{self._copy.volume}, file {path!r}: {problem}")
                outcome.failures[path] = failure
            else:
                sendable.append(path)
        return sendable

    def _send(self, path: str, known: Entry | None) -> Entry | None:
        copy, begun = self._copy, time.monotonic()
        for _ in range(_ATTEMPTS):
            there = copy.remote.look(path)
            try:
                with copy.folder.reading(path) as (file, stamp):
                    changed = there is not None and (
                        known is None or known.version != there.version
                    )
                    if there is not None and changed and not is_later(stamp, there.changed):
                        self._yielded[path] = stamp
                        copy.note(
                            f"{path!r} changed on both sides: the later version, the remote one, "
                            "is kept"
                        )
                        return None
                    sent = copy.remote.upload(path, file, stamp.size, stamp.modified_ns, there)
            except ChangedMeanwhileError:
                continue
            except FileNotFoundError:
                return None  # the job has removed it meanwhile
            now = time.monotonic()
            self._rest_until[path] = now + _REST * (now - begun)
            return Entry(stamp, sent.version)
        raise SyncError(f"{copy.volume}, file {path!r}: it changes again and again", temporary=True)

    def _make_parents(self, manifest: Manifest, paths: Iterable[str]) -> None:
        wanted = {parent for path in paths for parent in parents_of(path)}
        for directory in sorted(wanted - manifest.directories):
            if not self._copy.remote.implies_directories:
                self._copy.remote.make_directory(directory)
            manifest.directories.add(directory)

    def _make_directories(self, manifest: Manifest, scan: Scan) -> None:
        """Make the directories that hold nothing (yet)."""
        self._make_parents(manifest, scan.directories)
        for directory in sorted(scan.directories - manifest.directories):
            if not self._copy.remote.problem_of(directory):
                self._copy.remote.make_directory(directory)
                manifest.directories.add(directory)

    def _delete_what_is_gone(self, manifest: Manifest, scan: Scan) -> bool:
        gone = [path for path in manifest.files if path not in scan.files]
        for path in gone:
            known, there = manifest.files.pop(path), self._copy.remote.look(path)
            if there is None:
                continue
            if there.version == known.version:
                self._copy.remote.delete(there)
            else:
                self._copy.note(f"{path!r} was deleted here, but changed remotely: it is kept")
        directories = sorted(manifest.directories - scan.directories, reverse=True)
        for directory in directories:
            self._copy.remote.remove_directory(directory)
            manifest.directories.discard(directory)
        return bool(gone or directories)
