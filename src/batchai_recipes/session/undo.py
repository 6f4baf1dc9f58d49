"""What a session has to delete, newest first, whatever happens on the way."""

from collections.abc import Callable
from contextlib import ExitStack

from batchai_recipes.errors import CleanUpError
from batchai_recipes.session.listener import logger


class UndoStack:
    """Runs deletions in reverse order; a failed one stops no other.

    Args:
        report: Told of each deletion.

    Example:
        >>> undo = UndoStack(print)
        >>> undo.push("resource group", lambda: None)
        >>> undo.push("cluster", lambda: None)
        >>> undo.unwind()
        Deleting cluster
        Deleting resource group
        ()
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._stack = ExitStack()
        self._silent: set[str] = set()
        self._failures: list[Exception] = []
        self._dropped: set[str] = set()

    def push(self, what: str, delete: Callable[[], object], *, silent: bool = False) -> None:
        """Remember how to delete something; called before it is made.

        Args:
            what: The thing, for the report.
            delete: Deletes it; without effect when it is not there.
            silent: Whether `delete` itself tells, since it may leave the thing to others.
        """
        self._dropped.discard(what)
        if silent:
            self._silent.add(what)
        self._stack.callback(self._attempt, what, delete)

    def drop(self, what: str) -> None:
        """Leave something alone that turned out to be somebody else's.

        Args:
            what: The thing, as it was pushed.
        """
        self._dropped.add(what)

    def unwind(self) -> tuple[Exception, ...]:
        """Delete everything, newest first.

        Returns:
            What the failed deletions raised.
        """
        self._stack.close()
        return tuple(self._failures)

    def _attempt(self, what: str, delete: Callable[[], object]) -> None:
        if what in self._dropped:
            return
        if what not in self._silent:
            self.tell(f"Deleting {what}")
        try:
            delete()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others must be deleted
            self.tell(f"Deleting {what} failed: {error}")
            self._failures.append(error)

    def tell(self, line: str) -> None:
        """Report something, whether or not anybody hears it.

        Args:
            line: What to say.
        """
        try:
            self._report(line)
        except Exception as error:  # noqa: BLE001 - whoever is told may be gone; the thing is not
            logger.warning("Reporting failed: %s", type(error).__name__)


def clean_up_error(failures: tuple[Exception, ...]) -> CleanUpError:
    """Return one error for the deletions that failed.

    Args:
        failures: What they raised, at least one.
    """
    lines = "\n".join(f"  {failure}" for failure in failures)
    return CleanUpError(f"The session could not delete everything that it made:\n{lines}", failures)
