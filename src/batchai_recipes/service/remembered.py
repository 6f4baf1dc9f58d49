"""Reads of the records that are done again only when a record has changed.

What each request of the file service needs (its account, its share, what is known of its file) is
the same for thousands of requests in a row. Only the service itself changes these records, so a
count of its commits tells whether what was read still holds.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from batchai_recipes.service.store import Store

Key = TypeVar("Key")
Value = TypeVar("Value")

_MOST: Final = 1024


class Remembered(Generic[Key, Value]):
    """Answers with what was last read of the records, unless they changed since; for any thread.

    Args:
        store: The records.
        load: Reads of them what belongs to a key.
        survives_power_loss: Whether every change of these records survives a loss of power. Then
            the many that need not, those of file entries, are no reason to read them again.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = Store(pathlib.Path(folder) / "state.db")
        ...     asked = []
        ...     doubled = Remembered(store, lambda key: asked.append(key) or key * 2)
        ...     first, second = doubled(4), doubled(4)
        ...     with store.write() as records:
        ...         _ = records.execute("INSERT INTO accounts VALUES ('demo', 'a2V5', 'a2V5')")
        ...     third = doubled(4)
        ...     store.close()
        >>> first, second, third, asked
        (8, 8, 8, [4, 4])
    """

    def __init__(
        self, store: Store, load: Callable[[Key], Value], *, survives_power_loss: bool = True
    ) -> None:
        self._store = store
        self._survives_power_loss = survives_power_loss
        self._load = load
        self._kept: dict[Key, tuple[int, Value]] = {}

    def __call__(self, key: Key) -> Value:
        """Return what belongs to a key.

        Args:
            key: The key.
        """
        # Counted before reading: what is committed meanwhile makes the entry old, never stale.
        store = self._store
        commits = store.lasting_commits if self._survives_power_loss else store.commits
        kept = self._kept.get(key)
        if kept is not None and kept[0] == commits:
            return kept[1]
        value = self._load(key)
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[key] = (commits, value)
        return value
