"""Who is told what a session does, and what somebody must see."""

import logging
import sys
from collections.abc import Callable
from contextlib import suppress

from attrs import frozen

logger = logging.getLogger("batchai_recipes.session")


@frozen
class Listener:
    """Who is told, line by line.

    Args:
        given: Who a program named for that; None for the log.

    Example:
        >>> Listener(print).report("Created cluster mycluster")
        Created cluster mycluster
    """

    given: Callable[[str], None] | None = None

    def report(self, line: str) -> None:
        """Tell what happens.

        Args:
            line: The line.
        """
        (self.given or logger.info)(line)

    def warn(self, line: str) -> None:
        """Tell what a person has to know of, and could do something about.

        It goes to the log in any case, and to the standard error where nobody else would see it.

        Args:
            line: The line.
        """
        logger.warning("%s", line)
        if self.given:
            self.given(f"Warning: {line}")
        elif not _is_heard():
            _write(f"Warning: {line}")


def make_seen(error: Exception, beside: BaseException) -> None:
    """Tell of failed deletions beside another exception, where somebody is sure to see it.

    In the other exception's traceback, in the log, and on the standard error where nobody has
    configured a log: what was not deleted costs money.

    Args:
        error: What failed.
        beside: The exception that is raised.
    """
    text = str(error.args[0])
    add_note = getattr(beside, "add_note", None)  # since Python 3.11
    if add_note:
        add_note(text)
    logger.error(text)
    if not _is_heard():
        _write(text)


def _write(text: str) -> None:
    with suppress(OSError, ValueError, AttributeError):  # it may be closed, or there be none
        sys.stderr.write(f"{text}\n")


def _is_heard() -> bool:
    """Tell whether the log has anybody who writes it down."""
    current: logging.Logger | None = logger
    while current:
        if any(not isinstance(handler, logging.NullHandler) for handler in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False
