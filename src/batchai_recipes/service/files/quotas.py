"""Keeping shares within their quotas."""

import threading
import time
from typing import Final

from attrs import define

from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.paths import Location
from batchai_recipes.service.files.shares import Shares

_GIB: Final = 2**30
# Jobs write past the service: what a share holds is measured again when this old.
_SECONDS_VALID: Final = 30.0


@define
class _Usage:
    size: int
    measured_at: float


class Quotas:
    """Watches how much shares hold.

    A share is measured seldom; in between, what requests add counts. Before anything is refused the
    share is measured anew, so what has been deleted never counts.

    Args:
        shares: The shares.
    """

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._usages: dict[tuple[str, str, str], _Usage] = {}
        self._lock = threading.Lock()

    def reserve(self, location: Location, growth: int) -> None:
        """Make sure that there is room in a share, and count it as taken.

        Args:
            location: A file of the share.
            growth: How many bytes longer the file becomes; where it shrinks, nothing is asked.

        Raises:
            FileServiceError: The share would exceed its quota.
        """
        if growth <= 0:
            return
        share = self._shares.get(location.account, location.share)
        # A share of the same name made later starts anew.
        key = (share.account, share.name, share.created)
        limit = share.quota_gib * _GIB
        with self._lock:
            usage = self._usages.get(key)
            if usage is None or time.monotonic() - usage.measured_at > _SECONDS_VALID:
                usage = self._usages[key] = self._measure(location)
            if usage.size + growth > limit:
                usage = self._usages[key] = self._measure(location)
            if usage.size + growth > limit:
                raise FileServiceError(
                    ErrorCode.SHARE_SIZE_LIMIT_REACHED,
                    f"The share holds {usage.size} bytes of its quota of {share.quota_gib} GiB; "
                    f"{growth} more do not fit. Delete something, or raise the quota.",
                )
            usage.size += growth

    def _measure(self, location: Location) -> _Usage:
        return _Usage(self._shares.usage(location.account, location.share), time.monotonic())
