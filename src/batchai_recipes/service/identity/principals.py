"""Service principals: who may ask for a token, and with which secret."""

import hashlib
import hmac
import secrets
from typing import Final

from batchai_recipes.service.store import Store

# The interactive-login cost of RFC 7914: about 50 ms and 16 MiB a check.
_COST: Final = 2**14
_BLOCK_SIZE: Final = 8
_PARALLEL: Final = 1
_SALT_BYTES: Final = 16
_NOBODY: Final = (b"\0" * _SALT_BYTES, b"\0" * 64)


class Principals:
    """The service principals of one store; their secrets are kept as salted scrypt hashes.

    Args:
        store: Where they are recorded.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = Store(Path(folder) / "state.db")
        ...     principals = Principals(store)
        ...     principals.add("client", "tenant", "a secret")
        ...     print(principals.verify("client", "tenant", "a secret"))
        ...     print(principals.verify("client", "tenant", "a guess"))
        ...     store.close()
        True
        False
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, client_id: str, tenant_id: str, secret: str) -> None:
        """Record a principal, or give one that is recorded a new tenant and secret.

        Args:
            client_id: The principal's application id.
            tenant_id: The tenant that it belongs to.
            secret: Its secret; only a hash of it is kept.
        """
        salt = secrets.token_bytes(_SALT_BYTES)
        with self._store.write() as records:
            records.execute(
                "INSERT INTO principals (client_id, tenant_id, salt, secret_hash) "
                "VALUES (?, ?, ?, ?) ON CONFLICT (client_id) DO UPDATE SET "
                "tenant_id = excluded.tenant_id, salt = excluded.salt, "
                "secret_hash = excluded.secret_hash",
                (client_id.lower(), tenant_id.lower(), salt, _hash(secret, salt)),
            )

    def exists(self, client_id: str) -> bool:
        """Tell whether a principal is recorded.

        Args:
            client_id: The principal's application id, in any case.
        """
        with self._store.read() as records:
            row = records.execute(
                "SELECT 1 FROM principals WHERE client_id = ?", (client_id.lower(),)
            ).fetchone()
        return row is not None

    def verify(self, client_id: str, tenant_id: str | None, secret: str) -> bool:
        """Tell whether a secret is the principal's own.

        Args:
            client_id: The principal's application id, in any case.
            tenant_id: The tenant it claims, in any case; None where the protocol names none.
            secret: The secret it gave.
        """
        with self._store.read() as records:
            row = records.execute(
                "SELECT tenant_id, salt, secret_hash FROM principals WHERE client_id = ?",
                (client_id.lower(),),
            ).fetchone()
        # An unknown principal costs as much time as a wrong secret.
        salt, expected = (row["salt"], row["secret_hash"]) if row else _NOBODY
        matches = hmac.compare_digest(expected, _hash(secret, salt))
        if row is None or (tenant_id is not None and tenant_id.lower() != row["tenant_id"]):
            return False
        return matches


def _hash(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        secret.encode("utf-8", "surrogatepass"), salt=salt, n=_COST, r=_BLOCK_SIZE, p=_PARALLEL
    )
