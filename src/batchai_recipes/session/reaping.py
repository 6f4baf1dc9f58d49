"""Deleting what sessions left whose process is gone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from batchai_recipes.connection import Connection
from batchai_recipes.errors import BatchAIRecipesError, ConfigurationError
from batchai_recipes.refusals import explained
from batchai_recipes.session.departure import Departure
from batchai_recipes.session.journal import AbandonedJournal, JournalOwner, abandoned, live_sessions
from batchai_recipes.session.lapsed_session import (
    LapsedSession,
    delete_lapsed,
    lapsed_sessions,
)
from batchai_recipes.session.lease import Lease, this_process
from batchai_recipes.session.made import Made
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.undo import clean_up_error


def reap(
    folder: Path,
    *sessions: str,
    report: Callable[[str], None],
    dry_run: bool = False,
    connection: Connection | None = None,
    clock: ServiceClock | None = None,
) -> int:
    """Delete what abandoned sessions made, newest first, and only that.

    Sessions of this machine are known by their journals, those of other machines by the leases on
    the service.

    Args:
        folder: Where journals are: :attr:`Connection.journals`.
        sessions: The ids of sessions whose leftovers are deleted although they were kept on
            purpose; without any, all abandoned sessions' are, less what was kept.
        report: Told, line by line, what is found and done.
        dry_run: Whether only to say what would be deleted.
        connection: Where to look for leases that have run out; None for nowhere.
        clock: The service's clock; None for one that its answers tell.

    Returns:
        How many sessions there were that had left something.

    Raises:
        ConfigurationError: A session that was named lives, or has left nothing.
        CleanUpError: Something could not be deleted; it stays in its journal for another time.
    """
    failures: list[Exception] = []
    clock = clock or ServiceClock()
    lapsed: list[LapsedSession] = []
    live = live_sessions(folder)  # before the abandoned ones are locked by this process
    journals = abandoned(folder)
    try:
        chosen = _chosen(journals, sessions)
        for journal in tuple(chosen):
            doomed = journal.made if sessions else _not_kept(journal)
            if journal.deadline and not sessions and _goes_on(journal, clock, report):
                chosen.remove(journal)
                continue
            _describe(journal, doomed, report)
            if not dry_run:
                failures += _delete(journal, doomed, report, clock)
        if connection and not sessions:
            known = {*live, *(journal.owner.session for journal in journals)}
            lapsed = lapsed_sessions(connection, clock, known)
            for session in lapsed:
                failures += _reap(session, connection, clock, report, dry_run=dry_run)
    finally:
        for journal in journals:
            journal.close()
    if failures:
        raise clean_up_error(tuple(failures))
    return len(chosen) + len(lapsed)


def _chosen(journals: list[AbandonedJournal], sessions: tuple[str, ...]) -> list[AbandonedJournal]:
    if not sessions:
        return list(journals)
    known = {journal.owner.session: journal for journal in journals}
    for session in sessions:
        if session not in known:
            there = ", ".join(known) or "none"
            raise ConfigurationError(
                f"Session {session!r} lives or has left nothing here; sessions that have: {there}"
            )
    return [known[session] for session in dict.fromkeys(sessions)]


def _goes_on(journal: AbandonedJournal, clock: ServiceClock, report: Callable[[str], None]) -> bool:
    """Tell whether a session that was detached has time left, by the service's clock."""
    deadline = journal.deadline
    try:
        with _connection(journal.owner) as connection:
            now = clock.ask(connection)
    except BatchAIRecipesError as error:
        report(f"Session {journal.owner.session} is detached until {deadline}: {error}")
        return True
    if deadline is None or deadline <= now:
        return False
    report(f"Session {journal.owner.session} is detached until {deadline}")
    return True


def _not_kept(journal: AbandonedJournal) -> tuple[Made, ...]:
    return tuple(made for made in journal.made if made not in journal.kept)


def _describe(
    journal: AbandonedJournal, doomed: tuple[Made, ...], report: Callable[[str], None]
) -> None:
    session = journal.owner.session
    kept = ", ".join(str(made) for made in journal.kept if made not in doomed)
    if kept:
        report(f"Session {session} kept {kept}; delete with: batchai-recipes reap {session}")
    if doomed or not kept:
        left = ", ".join(map(str, doomed)) or "nothing"
        report(f"Session {session} (process {journal.owner.pid}, gone) left: {left}")


def _reap(
    session: LapsedSession,
    connection: Connection,
    clock: ServiceClock,
    report: Callable[[str], None],
    *,
    dry_run: bool,
) -> list[Exception]:
    left = ", ".join(map(str, session.made))
    report(f"Session {session.lease.session} ({session.lease.owner}, not heard of) left: {left}")
    failures: list[Exception] = []

    def attempt(made: Made) -> None:
        try:
            delete_lapsed(session, made, connection, clock, report)
        except BatchAIRecipesError as error:
            failures.append(error)

    for made in () if dry_run else session.made:
        attempt(made)
    return failures


def _delete(
    journal: AbandonedJournal,
    doomed: tuple[Made, ...],
    report: Callable[[str], None],
    clock: ServiceClock,
) -> list[Exception]:
    failures: list[Exception] = []
    if not doomed:
        return failures
    try:
        with _connection(journal.owner) as connection:
            taker = _taken_over_by(journal, connection, clock)
            if taker:
                report(f"Left session {journal.owner.session}: {taker} has taken it up")
                return failures
            departure = Departure(journal.owner.session, connection, clock)
            for made in doomed:
                try:
                    report(f"Deleting {made}")
                    other = departure.delete(made, journal.all_made)
                except BatchAIRecipesError as error:
                    failures.append(error)
                    continue
                if other:
                    report(f"Left {made}: {other}")
                if other is None or other.takes_over:
                    journal.gone(made)
    except BatchAIRecipesError as error:
        return [error]
    return failures


def _taken_over_by(
    journal: AbandonedJournal, connection: Connection, clock: ServiceClock
) -> str | None:
    """Say which other process has the session by now, by the lease on its workspace."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

    place = next((made.names for made in journal.made if made.kind == "workspace"), None)
    if place is None:
        return None
    with explained(f"look who has session {journal.owner.session}"):
        try:
            tags = connection.batchai.workspaces.get(*place, raw_response_hook=clock.note).tags
        except ResourceNotFoundError:
            return None
    lease = Lease.from_tags(tags)
    if lease is None or lease.session != journal.owner.session or lease.has_run_out(clock.now()):
        return None
    return None if lease.owner == this_process(journal.pid) else lease.owner


@contextmanager
def _connection(owner: JournalOwner) -> Iterator[Connection]:
    if owner.state_dir is not None:
        with Connection.embedded(Path(owner.state_dir)) as connection:
            yield connection
        return
    with Connection.default() as connection:
        if connection.settings.endpoint != owner.endpoint:
            raise ConfigurationError(
                f"Session {owner.session} used {owner.endpoint}: set BATCHAI_ENDPOINT and the "
                f"variables beside it for that endpoint, and reap again"
            )
        yield connection
