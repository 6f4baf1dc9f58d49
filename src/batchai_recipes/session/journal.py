"""What a session makes, written down before it is made, so that another process can delete it.

A journal is a file of JSON lines. The first says whose it is; each other that something is about to
be made, or that it is gone. The session holds the file locked, and the operating system drops the
lock with the process, however that ends: a journal that can be locked belongs to nobody any more.
"""

import fcntl
import json
import os
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from attrs import asdict, frozen

from batchai_recipes.errors import ConfigurationError
from batchai_recipes.session.made import Made

_SUFFIX: Final = ".jsonl"
_NEW_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@frozen
class JournalOwner:
    """Whose a journal is.

    Args:
        session: The session's name.
        endpoint: The management plane that it used.
        state_dir: The state directory, when that was an embedded service's.
        pid: The session's process id.
    """

    session: str
    endpoint: str
    state_dir: str | None
    pid: int


class Journal:
    """The journal of a live session; :meth:`begin` makes it.

    Args:
        path: The file.
        file: The file, open and locked.
    """

    def __init__(self, path: Path, file: TextIOWrapper) -> None:
        self._path = path
        self._file = file
        self._made: list[Made] = []

    @classmethod
    def begin(cls, folder: Path, owner: JournalOwner) -> "Journal":
        """Begin the journal of a session.

        Args:
            folder: Where journals are; made when missing.
            owner: Whose it is.

        Raises:
            ConfigurationError: The folder cannot be made or written.
        """
        path = folder / f"{owner.session}{_SUFFIX}"
        temporary = path.with_suffix(".new")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(
                temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise ConfigurationError(
                f"The journal of the session cannot be written to {folder}: {error.strerror}; name "
                f"another place with BATCHAI_RECIPES_STATE_DIR"
            ) from error
        file = os.fdopen(descriptor, "r+", encoding="utf-8")
        # Locked before it gets its name, so that nobody takes it for a dead session's.
        fcntl.flock(file, fcntl.LOCK_EX)
        journal = cls(path, file)
        journal._append({"owner": asdict(owner)})
        temporary.rename(path)
        return journal

    def about_to_make(self, made: Made) -> None:
        """Write down that something is about to be made; on disk when this returns."""
        self._made.append(made)
        self._append({"make": asdict(made)})

    def gone(self, made: Made) -> None:
        """Write down that something is deleted, or turned out to be somebody else's."""
        if made in self._made:
            self._made.remove(made)
            self._append({"gone": asdict(made)})

    def close(self) -> None:
        """End the journal; the file goes too unless something could not be deleted."""
        if not self._made:
            self._path.unlink(missing_ok=True)
        self._file.close()

    def _append(self, entry: dict[str, object]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


class AbandonedJournal:
    """The journal of a session whose process is gone; :func:`abandoned` finds them.

    Holds the file locked until :meth:`close`, so that two processes do not take the same one up.

    Args:
        path: The file.
        file: The file, open and locked.
        owner: Whose it was.
        made: What the session left, newest first.
    """

    def __init__(
        self, path: Path, file: TextIOWrapper, owner: JournalOwner, made: tuple[Made, ...]
    ) -> None:
        self._path = path
        self._file = file
        self.owner = owner
        self.made = made

    def remove(self) -> None:
        """Delete the file: everything that it names is gone."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def abandoned(folder: Path) -> list[AbandonedJournal]:
    """Find the journals of sessions whose process is gone.

    Args:
        folder: Where journals are; need not exist.

    Returns:
        Each, locked, in the order of names. A file that is no journal is left alone.
    """
    found = (_take(path) for path in sorted(folder.glob(f"*{_SUFFIX}")))
    return [journal for journal in found if journal is not None]


def _take(path: Path) -> AbandonedJournal | None:
    try:
        file = path.open("r+", encoding="utf-8")
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        owner, made = _read(file)
    except (BlockingIOError, ValueError, LookupError, TypeError):
        file.close()  # a live session's, or no journal
        return None
    return AbandonedJournal(path, file, owner, made)


def _read(file: TextIOWrapper) -> tuple[JournalOwner, tuple[Made, ...]]:
    lines = file.read().split("\n")
    # A line that was cut by a crash was not acknowledged: nothing was made after it.
    entries = [json.loads(line) for line in lines[:-1]]
    owner = JournalOwner(**entries[0]["owner"])
    made: list[Made] = []
    for entry in entries[1:]:
        if "make" in entry:
            made.append(Made(**entry["make"]))
        else:
            made.remove(Made(**entry["gone"]))
    return owner, tuple(reversed(made))
