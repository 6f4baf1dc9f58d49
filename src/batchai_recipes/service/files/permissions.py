"""Security descriptors of a share: kept and given back, but enforced by nothing here."""

import hashlib

from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.store import Store


class Permissions:
    """The security descriptors of all shares.

    Args:
        store: Where they are recorded.
        shares: The shares.
    """

    def __init__(self, store: Store, shares: Shares) -> None:
        self._store = store
        self._shares = shares

    def create(self, account: str, share: str, permission: str) -> str:
        """Record a security descriptor.

        Args:
            account: The storage account.
            share: The share.
            permission: The descriptor, in SDDL or base64; opaque to this service.

        Returns:
            Its key, the same for the same text.

        Raises:
            ShareNotFoundError: There is no such share.
        """
        self._shares.get(account, share)
        number = int.from_bytes(hashlib.sha256(permission.encode()).digest()[:16], "big")
        key = f"{number % 2**64}*{number >> 64}"
        with self._store.write() as records:
            records.execute(
                "INSERT OR IGNORE INTO share_permissions VALUES (?, ?, ?, ?)",
                (account, share, key, permission),
            )
        return key

    def get(self, account: str, share: str, key: str) -> str:
        """Return a security descriptor.

        Args:
            account: The storage account.
            share: The share.
            key: Its key.

        Raises:
            FileServiceError: There is no such share, or the share has none of that key.
        """
        self._shares.get(account, share)
        with self._store.read() as records:
            row = records.execute(
                "SELECT permission FROM share_permissions "
                "WHERE account = ? AND share = ? AND key = ?",
                (account, share, key),
            ).fetchone()
        if row is None:
            raise FileServiceError(
                ErrorCode.FILE_INVALID_PERMISSION_KEY,
                f"The share has no permission of the key {key[:80]!r}; create it first.",
            )
        permission: str = row["permission"]
        return permission
