"""Keeping shares within their quotas."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from attrs import define, field

from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.paths import Location
from batchai_recipes.service.files.shares import Shares

_GIB: Final = 2**30
# Jobs write past the service: what a share holds is measured again when this old.
_SECONDS_VALID: Final = 30.0

_Key: TypeAlias = tuple[str, str, str]


@define
class _Usage:
    """What a share holds, and how many requests ask for that now."""

    size: int = 0
    measured_at: float = -math.inf
    askers: int = 0
    lock: threading.Lock = field(factory=threading.Lock)

    @property
    def is_old(self) -> bool:
        return time.monotonic() - self.measured_at > _SECONDS_VALID


class Quotas:
    """Watches how much shares hold.

    A share is measured seldom; in between, what requests add counts. Before anything is refused the
    share is measured anew, so what has been deleted never counts.

    Args:
        shares: The shares.
    """

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._usages: dict[_Key, _Usage] = {}
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
        # To measure a large share takes a while, and the others do not wait for that.
        with self._usage(key) as usage, usage.lock:
            if usage.is_old or usage.size + growth > limit:
                usage.size = self._shares.usage(location.account, location.share)
                usage.measured_at = time.monotonic()
            if usage.size + growth > limit:
                raise FileServiceError(
                    ErrorCode.SHARE_SIZE_LIMIT_REACHED,
                    f"The share holds {usage.size} bytes of its quota of {share.quota_gib} GiB; "
                    f"{growth} more do not fit. Delete something, or raise the quota.",
                )
            usage.size += growth

    @contextmanager
    def _usage(self, key: _Key) -> Iterator[_Usage]:
        with self._lock:
            if key not in self._usages:
                # Among them those of shares that are gone.
                self._usages = {
                    other: usage
                    for other, usage in self._usages.items()
                    if usage.askers or not usage.is_old
                }
            usage = self._usages.setdefault(key, _Usage())
            usage.askers += 1
        try:
            yield usage
        finally:
            with self._lock:
                usage.askers -= 1
