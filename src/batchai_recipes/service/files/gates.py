"""Gates of shares: many may change a share at a time, and nobody while a snapshot is made of it."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from batchai_recipes.service.files.errors import ErrorCode, FileServiceError


class Gates:
    """The gates of all shares.

    Example:
        >>> gates = Gates()
        >>> with gates.changing("demo", "data"), gates.changing("demo", "data"):
        ...     pass
        >>> with gates.still("demo", "data"):
        ...     pass
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside: Counter[tuple[str, str]] = Counter()
        self._closed: set[tuple[str, str]] = set()

    @contextmanager
    def changing(self, account: str, share: str) -> Iterator[None]:
        """Change a share, once no snapshot is being made of it.

        Args:
            account: The storage account.
            share: The share.
        """
        key = account, share
        with self._condition:
            self._condition.wait_for(lambda: key not in self._closed)
            self._inside[key] += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside[key] -= 1
                if not self._inside[key]:
                    del self._inside[key]
                    self._condition.notify_all()

    @contextmanager
    def still(self, account: str, share: str) -> Iterator[None]:
        """Keep clients from changing a share; those that are about it come to their end first.

        Args:
            account: The storage account.
            share: The share.

        Raises:
            FileServiceError: Somebody else does so.
        """
        key = account, share
        with self._condition:
            if key in self._closed:
                raise FileServiceError(
                    ErrorCode.SHARE_SNAPSHOT_IN_PROGRESS,
                    "Another snapshot of the share is being made; try again when it is done.",
                )
            self._closed.add(key)
            self._condition.wait_for(lambda: key not in self._inside)
        try:
            yield
        finally:
            with self._condition:
                self._closed.discard(key)
                self._condition.notify_all()
