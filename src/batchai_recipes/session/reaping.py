"""Deleting what sessions left whose process is gone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from batchai_recipes.connection import Connection
from batchai_recipes.errors import BatchAIRecipesError, ConfigurationError
from batchai_recipes.session.journal import AbandonedJournal, JournalOwner, abandoned
from batchai_recipes.session.undo import clean_up_error


def reap(folder: Path, *, report: Callable[[str], None], dry_run: bool = False) -> int:
    """Delete what abandoned sessions made, newest first, and only that.

    Args:
        folder: Where journals are: :attr:`Connection.journals`.
        report: Told, line by line, what is found and done.
        dry_run: Whether only to say what would be deleted.

    Returns:
        How many abandoned sessions there were.

    Raises:
        CleanUpError: Something could not be deleted; it stays in its journal for another time.
    """
    failures: list[Exception] = []
    journals = abandoned(folder)
    for journal in journals:
        try:
            _describe(journal, report)
            if not dry_run:
                failures += _reap(journal, report)
        finally:
            journal.close()
    if failures:
        raise clean_up_error(tuple(failures))
    return len(journals)


def _describe(journal: AbandonedJournal, report: Callable[[str], None]) -> None:
    owner = journal.owner
    left = ", ".join(map(str, journal.made)) or "nothing"
    report(f"Session {owner.session} (process {owner.pid}, gone) left: {left}")


def _reap(journal: AbandonedJournal, report: Callable[[str], None]) -> list[Exception]:
    failures: list[Exception] = []
    try:
        with _connection(journal.owner) as connection:
            for made in journal.made:
                report(f"Deleting {made}")
                try:
                    made.delete(connection)
                except BatchAIRecipesError as error:
                    failures.append(error)
    except BatchAIRecipesError as error:
        return [error]
    if not failures:
        journal.remove()
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
