"""Connection: lazy clients, and which service is chosen."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from attrs import evolve

from batchai_recipes import BatchAIRecipesError, ConfigurationError, Connection, StorageAccount
from batchai_recipes.builders.admin_user import AdminUser
from batchai_recipes.service.state_directory import StateDirectory

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


def test_throttling_is_waited_out_by_the_clients_own_policy(endpoint, connection, waits):
    """As long as the service asks for."""
    throttled = (429, {"Retry-After": "7", "Content-Type": "application/json"}, "{}")
    fine = (200, {"Content-Type": "application/json"}, '{"value": []}')
    endpoint.raw("GET", "/workspaces", throttled, fine)

    assert list(connection.batchai.workspaces.list()) == []
    assert waits == [7]


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


def test_an_embedded_service_without_its_certificate_is_not_kept_by_who_cannot_use_it(tmp_path):
    """Or it would never learn that nobody uses it any more."""
    state = StateDirectory(tmp_path)
    with Connection.embedded(tmp_path) as connection:
        Path(connection.settings.ca_file).unlink()
        with pytest.raises(ConfigurationError):
            Connection.embedded(tmp_path)
    assert not state.address.exists()


class Token:
    """A credential of the caller's own."""

    closed = False

    def get_token(self, *_scopes, **_options):
        """Give a token."""
        from azure.core.credentials import AccessToken  # noqa: PLC0415 - loaded on first use

        return AccessToken("mine", 2**31)

    def close(self):
        """Remember it."""
        self.closed = True


def test_a_credential_of_azure_core_can_be_given(endpoint, settings):
    """It needs no service principal, and stays the caller's to close."""
    endpoint.on("GET", "/workspaces", {"value": []})
    own, token = evolve(settings, tenant_id=None, client_id=None, client_secret=None), Token()
    with Connection(own, credential=token) as connection:
        list(connection.batchai.workspaces.list())

    assert endpoint.requests[-1].headers["Authorization"] == "Bearer mine"
    assert not token.closed


def test_the_default_chain_can_be_asked_for(endpoint, settings, monkeypatch):
    """It begins with the environment's service principal."""
    endpoint.on("GET", "/workspaces", {"value": []})
    for name, value in {"TENANT_ID": settings.tenant_id, "CLIENT_ID": "c"}.items():
        monkeypatch.setenv(f"AZURE_{name}", value)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "of the environment")
    with Connection(settings, credential="default") as connection:
        list(connection.batchai.workspaces.list())

    assert endpoint.requests[-1].headers["Authorization"] == "Bearer token"
    (asked,) = [r for r in endpoint.requests if r.url.endswith("/token")]
    assert "of+the+environment" in str(asked.body)


def test_what_cannot_sign_in_is_refused_at_once(settings):
    """With what is missing, or the nearest word."""
    with pytest.raises(ConfigurationError, match="lack client_secret"):
        Connection(evolve(settings, client_secret=None))
    with pytest.raises(ConfigurationError, match="did you mean 'default'"):
        Connection(settings, credential="defualt")
    with pytest.raises(ConfigurationError, match="is not there"):
        Connection(evolve(settings, ca_file=Path("/no/ca.pem")))


def test_a_closed_connection_says_so(endpoint, settings):
    """Instead of whatever its clients would say."""
    connection = Connection(settings)
    connection.close()
    connection.close()

    with pytest.raises(BatchAIRecipesError, match="connection is closed"):
        _ = connection.batchai


def test_threads_share_one_client(endpoint, settings):
    """However many ask for it first."""
    with Connection(settings) as connection, ThreadPoolExecutor(8) as pool:
        clients = list(pool.map(lambda _: connection.batchai, range(8)))

    assert len(set(map(id, clients))) == 1


def test_the_environment_is_read_or_said_to_be_empty(monkeypatch):
    """A caller asked for it, so nothing else is tried."""
    for line in SETTINGS.split():
        monkeypatch.setenv(*line.split("="))
    with Connection.from_environment() as connection:
        assert connection.settings.storage.name == "demo"
    for name in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"):
        monkeypatch.delenv(name)
    with Connection.from_environment(credential="default") as connection:
        assert connection.settings.credential == "default"
    with Connection.from_environment(credential=Token()) as connection:
        assert connection.settings.client_id is None
    monkeypatch.delenv("BATCHAI_ENDPOINT")
    with pytest.raises(ConfigurationError, match="BATCHAI_ENDPOINT is not set"):
        Connection.from_environment()


@pytest.mark.parametrize("place", ["https://files.test/demo", "https://127.0.0.1:1/demo"])
def test_files_by_https_are_checked_with_the_given_authority(settings, tmp_path, place):
    """On this machine too."""
    authority = tmp_path / "ca.pem"
    authority.write_text("")
    storage = StorageAccount("demo", "a2V5", place)
    with Connection(evolve(settings, ca_file=authority, storage=storage)) as connection:
        session = connection.files._httpclient.session

    assert session.verify == str(authority)


def test_nodes_have_an_admin_user_that_nobody_knows(endpoint, settings):
    """Where the settings name none: a cluster needs one."""
    with Connection(evolve(settings, admin=None)) as first, Connection(settings) as second:
        for connection in (first, second):
            admin = connection.settings.admin
            assert admin is not None
            assert admin.password not in repr(connection.settings)
        assert first.settings.admin != second.settings.admin
    named = evolve(settings, admin=AdminUser("me", password="mine"))
    with Connection(named) as connection:
        assert connection.settings == named


def test_an_id_that_cannot_be_one_is_named_with_what_to_check(settings):
    """Not by azure-identity's ValueError."""
    wrong = evolve(settings, tenant_id="no tenant!")
    with (
        Connection(wrong) as connection,
        pytest.raises(ConfigurationError, match="Invalid tenant.*check AZURE_TENANT_ID"),
    ):
        _ = connection.batchai
