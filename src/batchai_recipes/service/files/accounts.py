"""Storage accounts: who may sign requests to the file service."""

import base64
import binascii
import re
import secrets
from typing import Final

from attrs import field, frozen

from batchai_recipes.service.remembered import Remembered
from batchai_recipes.service.store import Store

_KEY_BYTES: Final = 64
_NAME = re.compile(r"[a-z0-9]{3,24}")
RESERVED_NAME: Final = "devstoreaccount1"
"""Azure's storage clients refuse this name or take it for another emulator."""


@frozen
class Account:
    """A storage account.

    Args:
        name: Its name: 3 to 24 lower-case letters and digits.
        key1: Its first key, base64.
        key2: Its second key, base64.
    """

    name: str
    key1: str = field(repr=False)
    key2: str = field(repr=False)

    @property
    def keys(self) -> tuple[str, str]:
        """Both keys; a signature by either is good."""
        return self.key1, self.key2


class Accounts:
    """The storage accounts of a service.

    Args:
        store: Where the accounts are kept.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = Store(pathlib.Path(folder) / "state.db")
        ...     accounts = Accounts(store)
        ...     accounts.create("demo", "a2V5MQ==", "a2V5Mg==")
        ...     account = accounts.get("demo")
        ...     store.close()
        >>> account
        Account(name='demo')
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = Remembered(store, self._load)

    def get(self, name: str) -> Account | None:
        """Return the account of a name, or None where there is none."""
        return self._known(name)

    def create(self, name: str, key1: str, key2: str) -> None:
        """Record a storage account.

        Args:
            name: Its name: 3 to 24 lower-case letters and digits.
            key1: Its first key, base64.
            key2: Its second key, base64.

        Raises:
            ValueError: The name or a key cannot be one of a storage account.
            sqlite3.IntegrityError: There is an account of that name.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} cannot name a storage account: use 3 to 24 lower-case letters and digits"
            )
        if name == RESERVED_NAME:
            raise ValueError(f"Azure's clients do not use files of {name!r}: choose another name")
        for key in (key1, key2):
            _check_key(key)
        with self._store.write() as records:
            records.execute("INSERT INTO accounts VALUES (?, ?, ?)", (name, key1, key2))

    def ensure(self, name: str, key: str | None = None) -> Account:
        """Return an account, making it, or giving it a key, where it is not so already.

        Args:
            name: Its name: 3 to 24 lower-case letters and digits.
            key: Its first key, base64; None for the one that it has, or for a new one.

        Raises:
            ValueError: The name or the key cannot be one of a storage account.
        """
        account = self.get(name)
        if account is None:
            self.create(name, key or new_key(), new_key())
        elif key is not None and key != account.key1:
            _check_key(key)
            with self._store.write() as records:
                records.execute("UPDATE accounts SET key1 = ? WHERE name = ?", (key, name))
        account = self.get(name)
        if account is None:
            raise ValueError(f"the storage account {name!r} was deleted at this very moment")
        return account

    def _load(self, name: str) -> Account | None:
        row = self._store.one("SELECT name, key1, key2 FROM accounts WHERE name = ?", (name,))
        return None if row is None else Account(row["name"], row["key1"], row["key2"])


def new_key() -> str:
    """Make a random account key, base64."""
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")


def _check_key(key: str) -> None:
    try:
        decoded = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded:
        # The key itself stays out of the message.
        raise ValueError("an account key must be base64 of at least one byte")
