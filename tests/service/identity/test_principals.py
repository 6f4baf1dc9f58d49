"""Service principals."""

from batchai_recipes.service.identity.principals import Principals
from batchai_recipes.service.store import Store


def test_only_the_right_secret_is_accepted(store: Store) -> None:
    """Ids are compared without regard to case, secrets are not."""
    principals = Principals(store)
    principals.add("Client", "Tenant", "secret")
    assert principals.exists("CLIENT")
    assert principals.verify("client", "TENANT", "secret")
    assert principals.verify("client", None, "secret")
    assert not principals.verify("client", "Tenant", "Secret")
    assert not principals.verify("client", "Tenant", "")
    assert not principals.verify("client", "another", "secret")
    assert not principals.verify("another", "Tenant", "secret")
    assert not principals.exists("another")


def test_a_secret_can_be_replaced(store: Store) -> None:
    """Adding a principal again gives it a new secret."""
    principals = Principals(store)
    principals.add("client", "tenant", "old")
    principals.add("client", "tenant", "new")
    assert principals.verify("client", "tenant", "new")
    assert not principals.verify("client", "tenant", "old")


def test_secrets_are_kept_as_hashes(store: Store) -> None:
    """Two principals with one secret have different hashes, and neither is the secret."""
    principals = Principals(store)
    principals.add("one", "tenant", "secret")
    principals.add("two", "tenant", "secret")
    with store.read() as records:
        rows = records.execute("SELECT salt, secret_hash FROM principals").fetchall()
    assert rows[0]["secret_hash"] != rows[1]["secret_hash"]
    assert all(b"secret" not in row["secret_hash"] + row["salt"] for row in rows)
