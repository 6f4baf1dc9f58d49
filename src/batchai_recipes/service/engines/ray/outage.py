"""How long Ray has been out of reach."""

import logging
from collections.abc import Callable
from typing import Final

# Ray gives up on a head after a minute; its machines end what they run then.
_PATIENCE_SECONDS: Final = 120.0

_logger = logging.getLogger(__name__)


class Outage:
    """Says in the service's log when Ray goes and when it comes back.

    Args:
        address: Where Ray is, for messages.
        monotonic: A clock in seconds.
    """

    def __init__(self, address: str, monotonic: Callable[[], float]) -> None:
        self._address = address
        self._monotonic = monotonic
        self._since: float | None = None

    def goes_on(self, why: str) -> bool:
        """Take note that Ray cannot be reached.

        Args:
            why: Why.

        Returns:
            Whether that has been so for too long to wait for what ran there.
        """
        now = self._monotonic()
        if self._since is None:
            self._since = now
            _logger.warning("Ray cannot be reached: %s; trying again", why)
        return now - self._since >= _PATIENCE_SECONDS

    def is_over(self) -> None:
        """Take note that Ray is reached."""
        if self._since is not None:
            _logger.warning("Ray is reached again at %s", self._address)
        self._since = None
