"""Keeper: a process that keeps an embedded service up for a detached session, until its deadline.

An embedded service stops when its last user has gone. A session that is detached has no process,
so this one uses the service in its place: until the session is attached to again, or until its
deadline, when the service deletes what the session made, and this process its journal, and whatever
the service does not know to be the session's. Should it be killed, the service does its part as
soon as it is up again, and `batchai-recipes reap` the rest.
"""

import argparse
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from batchai_recipes.connection import Connection
from batchai_recipes.errors import BatchAIRecipesError, ServiceStartError
from batchai_recipes.pacing import Pacing
from batchai_recipes.service.file_lock import FileLock
from batchai_recipes.session.journal import peek
from batchai_recipes.session.kept_clusters import watcher_of
from batchai_recipes.session.reaping import reap
from batchai_recipes.session.service_clock import ServiceClock

_LOOKS: Final = Pacing(first=0.5, longest=0.5)


def start_keeper(state_dir: Path, journals: Path, session: str) -> None:
    """Start the keeper of a session and wait until it uses the service.

    Args:
        state_dir: The embedded service's state directory.
        journals: Where the session's journal is.
        session: The session's id.

    Raises:
        ServiceStartError: It did not start.
    """
    command = [sys.executable, "-m", "batchai_recipes.session.keeper", str(state_dir), session]
    with _log(journals, session).open("ab") as log:
        keeper = subprocess.Popen(  # noqa: S603 - our own module
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=state_dir,
            start_new_session=True,  # a Ctrl-C in the terminal is not for it
        )
    # It outlives this process as a rule; where it does not, it must not stay as a zombie.
    threading.Thread(target=keeper.wait, name="keeper", daemon=True).start()
    if keeper.stdout is not None:
        with keeper.stdout as told:
            if told.readline() != b"ready\n":
                raise ServiceStartError(
                    f"The service could not be kept up for session {session}: see "
                    f"{_log(journals, session)}"
                )


def wait_for_keeper(journals: Path, session: str) -> None:
    """Wait until the keeper of a session has gone; it goes when the session's journal is taken.

    Args:
        journals: Where the session's journal is.
        session: The session's id.
    """
    if _log(journals, session).exists():
        lock = FileLock(_log(journals, session))
        lock.exclusive()
        lock.release()
        _log(journals, session).unlink(missing_ok=True)


def keep(connection: Connection, session: str, pacing: Pacing = _LOOKS) -> None:
    """Use a service until a session is attached to, deleted, or past its deadline.

    Until then, see to the limits of its clusters where the service does not.

    Args:
        connection: A connection to the embedded service.
        session: The session's id.
        pacing: How often to look.

    Raises:
        BatchAIRecipesError: What the session made could not be deleted.
    """
    clock = ServiceClock(pacing.monotonic)
    clock.ask(connection)
    content = peek(connection.journals, session)
    watcher = watcher_of(content, connection, clock, pacing) if content else None
    looked = pacing.monotonic()
    pauses = pacing.pauses()
    while content and content.deadline:
        if content.deadline <= clock.now():
            reap(connection.journals, session, report=lambda _: None)
            return
        if watcher and pacing.monotonic() - looked >= watcher.pause:
            looked = pacing.monotonic()
            watcher.look()
        next(pauses)
        content = peek(connection.journals, session)


def main() -> int:
    """Keep one session's service; return the exit status."""
    parser = argparse.ArgumentParser(prog="batchai_recipes.session.keeper", description=__doc__)
    parser.add_argument("state_dir", type=Path)
    parser.add_argument("session")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    try:
        with Connection.embedded(arguments.state_dir) as connection:
            lock = FileLock(_log(connection.journals, arguments.session))
            lock.exclusive()
            sys.stdout.write("ready\n")
            sys.stdout.close()
            keep(connection, arguments.session)
        _log(connection.journals, arguments.session).unlink(missing_ok=True)
    except BatchAIRecipesError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _log(journals: Path, session: str) -> Path:
    return journals / f"{session}.keeper"


if __name__ == "__main__":
    sys.exit(main())
