"""What a session makes, written down before it is made, so that another process can delete it.

A journal is a file of JSON lines. The first says whose it is; each other that something is about to
be made, or that it is gone. The session holds the file locked, and the operating system drops the
lock with the process, however that ends: a journal that can be locked belongs to nobody any more.
"""

import fcntl
import json
import os
import threading
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

from attrs import asdict, field, frozen

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
        names: What its resources are called: ``resource_group``, ``workspace``, ``experiment``,
            ``clusters``, ``shares``, ``run_folder`` and ``limits``, how long clusters may stay.
    """

    session: str
    endpoint: str
    state_dir: str | None
    pid: int
    names: dict[str, Any] = field(factory=dict)


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
        self._lock = threading.Lock()  # jobs may be submitted from several threads

    @property
    def made(self) -> tuple[Made, ...]:
        """What was made and is not gone, newest first."""
        return tuple(reversed(self._made))

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
        with self._lock:
            self._made.append(made)
            self._append({"make": asdict(made)})

    def gone(self, made: Made) -> None:
        """Write down that something is deleted, or turned out to be somebody else's."""
        with self._lock:
            if made in self._made:
                self._made.remove(made)
                self._append({"gone": asdict(made)})

    def keep(self, made: Made) -> None:
        """Write down that something is kept on purpose; on disk when this returns."""
        with self._lock:
            self._append({"keep": asdict(made)})

    def detach(self, until: datetime) -> None:
        """Write down that the session goes on without a process; on disk when this returns.

        Args:
            until: Its deadline.
        """
        with self._lock:
            self._append({"detached": until.isoformat()})

    def attach(self) -> None:
        """Write down that this process has taken the session up; on disk when this returns."""
        with self._lock:
            self._append({"attached": os.getpid()})

    def close(self) -> None:
        """End the journal; the file goes too unless something is left."""
        if not self._made:
            self._path.unlink(missing_ok=True)
        self._file.close()

    def _append(self, entry: dict[str, object]) -> None:
        _append(self._file, entry)


def _append(file: TextIOWrapper, entry: dict[str, object]) -> None:
    file.write(json.dumps(entry) + "\n")
    file.flush()
    os.fsync(file.fileno())


@frozen
class JournalContent:
    """What a journal says.

    Args:
        owner: Whose it is.
        made: What the session left, newest first.
        kept: What of it was left on purpose.
        deadline: When a session that was detached ends; None for one that was not.
        pid: The process that had it last.
    """

    owner: JournalOwner
    made: tuple[Made, ...]
    kept: tuple[Made, ...] = ()
    deadline: datetime | None = None
    pid: int = 0


class AbandonedJournal:
    """The journal of a session whose process is gone; :func:`abandoned` finds them.

    Holds the file locked until :meth:`close`, so that two processes do not take the same one up.

    Args:
        path: The file.
        file: The file, open and locked.
        content: What it says.
    """

    def __init__(self, path: Path, file: TextIOWrapper, content: JournalContent) -> None:
        self._path = path
        self._file = file
        self.owner = content.owner
        self.made = content.made
        self.all_made = content.made
        self.kept = content.kept
        self.deadline = content.deadline
        self.pid = content.pid

    def resume(self) -> Journal:
        """Go on with the journal as this process's own; this object must not be used any more."""
        journal = Journal(self._path, self._file)
        journal._made = list(reversed(self.made))  # noqa: SLF001 - the same file's
        journal.attach()
        return journal

    def gone(self, made: Made) -> None:
        """Write down that something is deleted; on disk when this returns.

        Args:
            made: What is deleted, of :attr:`made`.
        """
        self.made = tuple(other for other in self.made if other != made)
        _append(self._file, {"gone": asdict(made)})

    def close(self) -> None:
        """Let go of the file; it is deleted when everything that it names is gone."""
        if not self.made:
            self._path.unlink(missing_ok=True)
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


def taken(folder: Path, session: str) -> AbandonedJournal | None:
    """Take the journal of one session whose process is gone.

    Args:
        folder: Where journals are.
        session: The session's id.

    Returns:
        The journal, locked; None where there is none, or where a process has it.
    """
    return _take(folder / f"{session}{_SUFFIX}")


def peek(folder: Path, session: str) -> JournalContent | None:
    """Read the journal of a session, whoever has it.

    Args:
        folder: Where journals are.
        session: The session's id.

    Returns:
        What it says; None where there is none, or no such journal.
    """
    try:
        text = (folder / f"{session}{_SUFFIX}").read_text(encoding="utf-8")
        return _parsed(text[: text.rfind("\n") + 1])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def live_sessions(folder: Path) -> frozenset[str]:
    """Return the ids of the sessions whose process lives.

    Args:
        folder: Where journals are; need not exist.
    """
    return frozenset(path.stem for path in folder.glob(f"*{_SUFFIX}") if _is_locked(path))


def is_gone(folder: Path, session: str) -> bool | None:
    """Tell whether the process of a session is gone.

    Args:
        folder: Where journals are; need not exist.
        session: The session's id.

    Returns:
        Whether it is; None where there is no journal of the session.
    """
    path = folder / f"{session}{_SUFFIX}"
    return not _is_locked(path) if path.exists() else None


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _take(path: Path) -> AbandonedJournal | None:
    try:
        file = path.open("r+", encoding="utf-8")
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        content = _read(file)
    except (BlockingIOError, ValueError, LookupError, TypeError):
        file.close()  # a live session's, or no journal
        return None
    return AbandonedJournal(path, file, content)


def _read(file: TextIOWrapper) -> JournalContent:
    text = file.read()
    # A line that was cut by a crash was not acknowledged: nothing was made after it.
    whole = text[: text.rfind("\n") + 1]
    content = _parsed(whole)
    if whole != text:
        file.seek(len(whole.encode()))
        file.truncate()  # what is written next begins a line of its own
    return content


def _parsed(lines: str) -> JournalContent:
    entries = [json.loads(line) for line in lines.splitlines()]
    owner = JournalOwner(**entries[0]["owner"])
    made: list[Made] = []
    kept: list[Made] = []
    deadline: datetime | None = None
    pid = owner.pid
    for entry in entries[1:]:
        if "make" in entry:
            made.append(Made(**entry["make"]))
        elif "gone" in entry:
            made.remove(Made(**entry["gone"]))
        elif "keep" in entry:
            kept.append(Made(**entry["keep"]))
        elif "detached" in entry:
            deadline = datetime.fromisoformat(entry["detached"])
        elif "attached" in entry:
            deadline, kept, pid = None, [], int(entry["attached"])
    still_kept = tuple(one for one in kept if one in made)
    return JournalContent(owner, tuple(reversed(made)), still_kept, deadline, pid)
