"""Service principals."""

import pytest

from batchai_recipes.service.identity.principals import PrincipalError, Principals
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


def test_a_principal_is_made_rotated_and_removed(store: Store, clock) -> None:
    """By its name or its client id; only the newest secret is good, and none at the end."""
    principals = Principals(store)
    made = principals.create("Nightly build", "tenant", clock)
    client_id = made.principal.client_id
    assert principals.verify(client_id, "tenant", made.value)
    clock.move(days=1)
    rotated = principals.rotate("nightly BUILD", clock)
    assert not principals.verify(client_id, "tenant", made.value)
    assert principals.verify(client_id, "tenant", rotated.value)
    [listed] = principals.all()
    assert listed == rotated.principal
    assert (listed.name, listed.created_at) == ("Nightly build", "2030-01-01T00:00:00Z")
    assert listed.rotated_at == "2030-01-02T00:00:00Z"
    assert principals.remove(client_id.upper()) == listed
    assert not principals.verify(client_id, "tenant", rotated.value)
    assert principals.all() == []


@pytest.mark.parametrize("name", ["", " x", "-x", "x" * 65, "a/b", "a\nb", "Taken", "tAKEN"])
def test_a_name_that_is_none_or_taken_is_refused(store: Store, clock, name: str) -> None:
    """What is wrong with it is told."""
    principals = Principals(store)
    principals.create("taken", "tenant", clock)
    with pytest.raises(PrincipalError, match=r"cannot name a principal|There is a principal"):
        principals.create(name, "tenant", clock)


def test_an_unknown_principal_is_named_with_those_there_are(store: Store, clock) -> None:
    """So that a typo is seen."""
    principals = Principals(store)
    principals.create("first", "tenant", clock)
    for change in (lambda: principals.rotate("frist", clock), lambda: principals.remove("frist")):
        with pytest.raises(PrincipalError, match="no principal 'frist': name one of first"):
            change()


def test_a_secret_is_not_in_its_repr(store: Store, clock) -> None:
    """Nor in a log that someone writes of it."""
    made = Principals(store).create("first", "tenant", clock)
    assert made.value not in repr(made)
