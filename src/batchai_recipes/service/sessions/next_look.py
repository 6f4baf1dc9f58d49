"""When sessions are to be looked at again."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

RETRY_AFTER: Final = timedelta(minutes=1)
"""When what was refused is tried again, say since a client has leased a share."""


@frozen
class NextLook:
    """When something is to be looked at again.

    Args:
        at: At which time; None for none.
        after_changes: Whether also as soon as the records have changed, since the scheduler is at
            it.

    Example:
        >>> from datetime import timezone
        >>> noon = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
        >>> NextLook.first([NextLook(noon), NextLook(after_changes=True), NextLook()])
        NextLook(at=datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.timezone.utc), \
after_changes=True)
    """

    at: datetime | None = None
    after_changes: bool = False

    @classmethod
    def first(cls, looks: Iterable["NextLook"]) -> "NextLook":
        """Return one look for several.

        Args:
            looks: When each is to be.
        """
        several = list(looks)
        times = (look.at for look in several if look.at is not None)
        return cls(min(times, default=None), any(look.after_changes for look in several))
