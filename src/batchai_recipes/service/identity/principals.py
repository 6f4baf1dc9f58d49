"""Service principals: who may ask for a token, and with which secret."""

import hashlib
import hmac
import re
import secrets
import sqlite3
import uuid
from typing import Final

from attrs import field, frozen

from batchai_recipes.service.clock import Clock, iso_timestamp
from batchai_recipes.service.store import Store

# The interactive-login cost of RFC 7914: about 50 ms and 16 MiB a check.
_COST: Final = 2**14
_BLOCK_SIZE: Final = 8
_PARALLEL: Final = 1
_SALT_BYTES: Final = 16
_SECRET_BYTES: Final = 32
_NOBODY: Final = (b"\0" * _SALT_BYTES, b"\0" * 64)
_NAME: Final = re.compile(r"[^\W_][-.\w ]{0,63}")


class PrincipalError(Exception):
    """A principal cannot be made, changed or removed; the message says why and what to do."""


@frozen
class Principal:
    """A service principal as it is recorded.

    Args:
        client_id: Its application id.
        tenant_id: The tenant that it belongs to.
        name: What people call it.
        created_at: When it was made, in ISO 8601; None where an earlier release made it.
        rotated_at: When it got its present secret; None for the one that it was made with.
    """

    client_id: str
    tenant_id: str
    name: str
    created_at: str | None
    rotated_at: str | None


@frozen
class Secret:
    """The only time that a principal's secret is told.

    Args:
        principal: Whose it is.
        value: The secret.
    """

    principal: Principal
    value: str = field(repr=False)


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

    def add(self, client_id: str, tenant_id: str, secret: str, name: str = "") -> None:
        """Record a principal, or give one that is recorded a new tenant, secret and name.

        Args:
            client_id: The principal's application id.
            tenant_id: The tenant that it belongs to.
            secret: Its secret; only a hash of it is kept.
            name: What people call it; the client id where it is empty.
        """
        salt, secret_hash = _salted(secret)
        client_id = client_id.lower()
        with self._store.write() as records:
            records.execute(
                "INSERT INTO principals (client_id, tenant_id, salt, secret_hash, name) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (client_id) DO UPDATE SET "
                "tenant_id = excluded.tenant_id, salt = excluded.salt, "
                "secret_hash = excluded.secret_hash, name = excluded.name",
                (client_id, tenant_id.lower(), salt, secret_hash, name or client_id),
            )

    def create(self, name: str, tenant_id: str, clock: Clock) -> Secret:
        """Make a principal.

        Args:
            name: What people are to call it; no other one is called so.
            tenant_id: The tenant that it is to belong to.
            clock: Tells the time.

        Returns:
            The principal with its secret, which is told only now.

        Raises:
            PrincipalError: The name is no name, or taken.
        """
        if _NAME.fullmatch(name) is None:
            raise PrincipalError(
                f"{name[:100]!r} cannot name a principal: use 1 to 64 letters, digits, spaces, "
                "dashes, underscores or full stops, a letter or digit first"
            )
        client_id, secret = str(uuid.uuid4()), secrets.token_urlsafe(_SECRET_BYTES)
        salt, secret_hash = _salted(secret)
        with self._store.write() as records:
            if _find(records, name) is not None:
                raise PrincipalError(
                    f"There is a principal {name!r} already: choose another name, or rotate its "
                    "secret"
                )
            records.execute(
                "INSERT INTO principals (client_id, tenant_id, salt, secret_hash, name, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    client_id,
                    tenant_id.lower(),
                    salt,
                    secret_hash,
                    name,
                    iso_timestamp(clock.now()),
                ),
            )
            return Secret(_require(records, client_id), secret)

    def rotate(self, which: str, clock: Clock) -> Secret:
        """Give a principal a new secret; the old one is refused from now on.

        Tokens that it holds stay valid until they end, as Entra ID's do.

        Args:
            which: Its client id or its name, in any case.
            clock: Tells the time.

        Returns:
            The principal with its secret, which is told only now.

        Raises:
            PrincipalError: There is no such principal.
        """
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        salt, secret_hash = _salted(secret)
        with self._store.write() as records:
            principal = _require(records, which)
            records.execute(
                "UPDATE principals SET salt = ?, secret_hash = ?, rotated_at = ? "
                "WHERE client_id = ?",
                (salt, secret_hash, iso_timestamp(clock.now()), principal.client_id),
            )
            return Secret(_require(records, principal.client_id), secret)

    def remove(self, which: str) -> Principal:
        """Remove a principal; its secret and its tokens are refused from now on.

        Args:
            which: Its client id or its name, in any case.

        Returns:
            What it was.

        Raises:
            PrincipalError: There is no such principal.
        """
        with self._store.write() as records:
            principal = _require(records, which)
            records.execute("DELETE FROM principals WHERE client_id = ?", (principal.client_id,))
        return principal

    def find(self, which: str) -> Principal | None:
        """Return a principal, or None where there is none.

        Args:
            which: Its client id or its name, in any case.
        """
        with self._store.read() as records:
            return _find(records, which)

    def all(self) -> list[Principal]:
        """Return all principals in the order of their names."""
        with self._store.read() as records:
            rows = records.execute("SELECT * FROM principals ORDER BY name, client_id").fetchall()
        return [_principal(row) for row in rows]

    def exists(self, client_id: str) -> bool:
        """Tell whether a principal is recorded.

        Args:
            client_id: The principal's application id, in any case.
        """
        query = "SELECT 1 FROM principals WHERE client_id = ?"
        return self._store.one(query, (client_id.lower(),)) is not None

    def verify(self, client_id: str, tenant_id: str | None, secret: str) -> bool:
        """Tell whether a secret is the principal's own.

        Args:
            client_id: The principal's application id, in any case.
            tenant_id: The tenant it claims, in any case; None where the protocol names none.
            secret: The secret it gave.
        """
        row = self._store.one(
            "SELECT tenant_id, salt, secret_hash FROM principals WHERE client_id = ?",
            (client_id.lower(),),
        )
        # An unknown principal costs as much time as a wrong secret.
        salt, expected = (row["salt"], row["secret_hash"]) if row else _NOBODY
        matches = hmac.compare_digest(expected, _hash(secret, salt))
        if row is None or (tenant_id is not None and tenant_id.lower() != row["tenant_id"]):
            return False
        return matches


def _find(records: sqlite3.Connection, which: str) -> Principal | None:
    wanted = which.casefold()
    for row in records.execute("SELECT * FROM principals ORDER BY client_id"):
        if wanted in {row["client_id"], row["name"].casefold()}:
            return _principal(row)
    return None


def _require(records: sqlite3.Connection, which: str) -> Principal:
    principal = _find(records, which)
    if principal is None:
        names = [row["name"] for row in records.execute("SELECT name FROM principals ORDER BY 1")]
        raise PrincipalError(
            f"There is no principal {which[:100]!r}: name one of {', '.join(names) or 'none'}"
        )
    return principal


def _principal(row: sqlite3.Row) -> Principal:
    return Principal(
        client_id=row["client_id"],
        tenant_id=row["tenant_id"],
        name=row["name"] or row["client_id"],
        created_at=row["created_at"],
        rotated_at=row["rotated_at"],
    )


def _salted(secret: str) -> tuple[bytes, bytes]:
    salt = secrets.token_bytes(_SALT_BYTES)
    return salt, _hash(secret, salt)


def _hash(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        secret.encode("utf-8", "surrogatepass"), salt=salt, n=_COST, r=_BLOCK_SIZE, p=_PARALLEL
    )
