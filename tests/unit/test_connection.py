"""Connection: lazy clients, and which service is chosen."""

import pytest

from batchai_recipes import BatchAIRecipesError, ConfigurationError, Connection

SETTINGS = """
BATCHAI_ENDPOINT=https://batchai.test
AZURE_TENANT_ID=t
AZURE_CLIENT_ID=c
AZURE_CLIENT_SECRET=s
AZURE_SUBSCRIPTION_ID=sub
AZURE_STORAGE_ACCOUNT=demo
AZURE_STORAGE_KEY=a2V5
"""


def test_clients_are_made_once(connection):
    """And kept until the connection is closed."""
    for name in ("batchai", "resources", "files", "downloads"):
        assert getattr(connection, name) is getattr(connection, name)


def test_the_token_is_asked_for_once_and_sent(endpoint, connection):
    """Both management clients share the credential."""
    endpoint.on("GET", "/workspaces", {"value": []})
    endpoint.on("HEAD", "/resourcegroups/g", 204)

    assert list(connection.batchai.workspaces.list()) == []
    assert connection.resources.resource_groups.check_existence("g")
    tokens = [call for call in endpoint.calls if call.endswith("/token")]
    assert len(tokens) == 1
    assert endpoint.requests[-1].headers["Authorization"] == "Bearer token"


def test_throttling_is_waited_out_by_the_clients_own_policy(endpoint, connection, monkeypatch):
    """As long as the service asks for."""
    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    throttled = (429, {"Retry-After": "7", "Content-Type": "application/json"}, "{}")
    fine = (200, {"Content-Type": "application/json"}, '{"value": []}')
    endpoint.raw("GET", "/workspaces", throttled, fine)

    assert list(connection.batchai.workspaces.list()) == []
    assert waited == [7]


def test_secrets_are_never_shown(connection):
    """A repr may land in a log."""
    assert "hidden" not in repr(connection)
    assert "a2V5" not in repr(connection)


def test_a_settings_file_can_be_named_in_the_environment(tmp_path, monkeypatch):
    """It goes before the variables themselves."""
    (tmp_path / "env").write_text(SETTINGS)
    monkeypatch.setenv("BATCHAI_RECIPES_ENV_FILE", str(tmp_path / "env"))
    monkeypatch.setenv("BATCHAI_ENDPOINT", "https://other.test")
    with Connection.default() as connection:
        assert connection.settings.endpoint == "https://batchai.test"


def test_incomplete_settings_are_not_replaced_by_the_embedded_service(monkeypatch):
    """Somebody meant another endpoint."""
    monkeypatch.delenv("BATCHAI_RECIPES_ENV_FILE", raising=False)
    monkeypatch.setenv("BATCHAI_ENDPOINT", "https://batchai.test")
    monkeypatch.delenv("AZURE_CLIENT_SECRET", raising=False)

    with pytest.raises(ConfigurationError, match="AZURE_CLIENT_SECRET"):
        Connection.default()


def test_an_embedded_service_that_cannot_start_is_the_librarys_error(tmp_path):
    """Not the launcher's."""
    (tmp_path / "file").write_text("")

    with pytest.raises(BatchAIRecipesError, match="state directory"):
        Connection.embedded(tmp_path / "file" / "state")
