"""Deleting what sessions left whose process is gone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from batchai_recipes.connection import Connection
from batchai_recipes.errors import BatchAIRecipesError, ConfigurationError
from batchai_recipes.session.journal import AbandonedJournal, JournalOwner, abandoned
from batchai_recipes.session.made import Made
from batchai_recipes.session.undo import clean_up_error


def reap(
    folder: Path,
    *sessions: str,
    report: Callable[[str], None],
    dry_run: bool = False,
) -> int:
    """Delete what abandoned sessions made, newest first, and only that.

    Args:
        folder: Where journals are: :attr:`Connection.journals`.
        sessions: The ids of sessions whose leftovers are deleted although they were kept on
            purpose; without any, all abandoned sessions' are, less what was kept.
        report: Told, line by line, what is found and done.
        dry_run: Whether only to say what would be deleted.

    Returns:
        How many sessions there were that had left something.

    Raises:
        ConfigurationError: A session that was named lives, or has left nothing.
        CleanUpError: Something could not be deleted; it stays in its journal for another time.
    """
    failures: list[Exception] = []
    journals = abandoned(folder)
    try:
        chosen = _chosen(journals, sessions)
        for journal in chosen:
            doomed = journal.made if sessions else _not_kept(journal)
            _describe(journal, doomed, report)
            if not dry_run:
                failures += _delete(journal, doomed, report)
    finally:
        for journal in journals:
            journal.close()
    if failures:
        raise clean_up_error(tuple(failures))
    return len(chosen)


def _chosen(journals: list[AbandonedJournal], sessions: tuple[str, ...]) -> list[AbandonedJournal]:
    if not sessions:
        return journals
    known = {journal.owner.session: journal for journal in journals}
    for session in sessions:
        if session not in known:
            there = ", ".join(known) or "none"
            raise ConfigurationError(
                f"Session {session} lives or has left nothing here; sessions that have: {there}"
            )
    return [known[session] for session in dict.fromkeys(sessions)]


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


def _delete(
    journal: AbandonedJournal, doomed: tuple[Made, ...], report: Callable[[str], None]
) -> list[Exception]:
    failures: list[Exception] = []
    if not doomed:
        return failures
    try:
        with _connection(journal.owner) as connection:
            for made in doomed:
                report(f"Deleting {made}")
                try:
                    made.delete(connection)
                except BatchAIRecipesError as error:
                    failures.append(error)
                else:
                    journal.gone(made)
    except BatchAIRecipesError as error:
        return [error]
    return failures


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
