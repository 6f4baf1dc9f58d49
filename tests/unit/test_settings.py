"""Connection settings from the environment and from a file."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes import ConfigurationError, ConnectionSettings
from batchai_recipes.settings import default_state_dir, read_env_file

COMPLETE = {
    "BATCHAI_ENDPOINT": "https://batchai.test/",
    "AZURE_TENANT_ID": "tenant",
    "AZURE_CLIENT_ID": "client",
    "AZURE_CLIENT_SECRET": "s3cret",
    "AZURE_SUBSCRIPTION_ID": "subscription",
    "AZURE_STORAGE_ACCOUNT": "demo",
    "AZURE_STORAGE_KEY": "a2V5",
}


def test_without_an_endpoint_there_are_no_settings():
    """Then the embedded service is used, whatever else is set."""
    environment = {"AZURE_CLIENT_ID": "somebody"}

    assert ConnectionSettings.from_environment(environment) is None


def test_a_complete_environment_is_read():
    """Files are at Azure's own place unless another is named."""
    settings = ConnectionSettings.from_environment(COMPLETE)

    assert settings is not None
    assert settings.endpoint == "https://batchai.test"
    assert settings.storage.files_endpoint == "https://demo.file.core.windows.net"


@pytest.mark.parametrize("name", sorted(set(COMPLETE) - {"BATCHAI_ENDPOINT"}))
def test_a_missing_setting_is_named(name):
    """And nothing else is tried instead."""
    with pytest.raises(ConfigurationError, match=name):
        ConnectionSettings.from_environment({**COMPLETE, name: ""})


def test_secrets_are_never_shown():
    """A repr may land in a log."""
    shown = repr(ConnectionSettings.from_environment(COMPLETE))

    assert not [secret for secret in ("s3cret", "a2V5") if secret in shown]


def test_admin_user_and_location_come_from_the_environment():
    """They are the user's, not the program's."""
    extra = {
        "BATCHAI_ADMIN_USER": "demo",
        "BATCHAI_ADMIN_SSH_PUBLIC_KEY": "ssh-rsa AAAA",
        "AZURE_DEFAULTS_LOCATION": "northeurope",
    }
    settings = ConnectionSettings.from_environment({**COMPLETE, **extra})

    assert settings is not None
    assert settings.admin is not None
    assert (settings.location, settings.admin.name) == ("northeurope", "demo")


def test_a_connection_string_stands_for_account_and_key():
    """It says where the shares are, too."""
    named = {k: v for k, v in COMPLETE.items() if not k.startswith("AZURE_STORAGE")}
    text = "DefaultEndpointsProtocol=http;AccountName=x;AccountKey=a2V5==;FileEndpoint=http://h/x"
    settings = ConnectionSettings.from_environment(
        {**named, "AZURE_STORAGE_CONNECTION_STRING": text}
    )

    assert settings is not None
    assert (settings.storage.name, settings.storage.key) == ("x", "a2V5==")
    assert settings.storage.files_endpoint == "http://h/x"
    with pytest.raises(ConfigurationError, match="no AccountName or no AccountKey") as raised:
        ConnectionSettings.from_environment(
            {**named, "AZURE_STORAGE_CONNECTION_STRING": "AccountKey=s3cret"}
        )
    assert "s3cret" not in str(raised.value)


def test_a_key_that_is_cut_short_is_refused_when_it_is_read():
    """Not by the client that would sign with it; it is not shown."""
    named = {k: v for k, v in COMPLETE.items() if not k.startswith("AZURE_STORAGE")}
    for wrong in (
        {"AZURE_STORAGE_ACCOUNT": "demo", "AZURE_STORAGE_KEY": "s3cre"},
        {"AZURE_STORAGE_CONNECTION_STRING": "AccountName=demo;AccountKey=s3cre"},
    ):
        with pytest.raises(ConfigurationError, match="account 'demo' is no base64") as raised:
            ConnectionSettings.from_environment({**named, **wrong})
        assert "s3cre" not in str(raised.value)


def test_the_default_credential_needs_no_service_principal():
    """Its chain finds who is there."""
    bare = {k: v for k, v in COMPLETE.items() if "CLIENT" not in k and "TENANT" not in k}
    settings = ConnectionSettings.from_environment({**bare, "BATCHAI_CREDENTIAL": "default"})

    assert settings is not None
    assert (settings.credential, settings.client_secret) == ("default", None)


def test_a_file_of_shell_assignments_is_read(tmp_path):
    """The form that `serve --env-file` writes, and what people write by hand."""
    path = tmp_path / "env"
    lines = [f"{name}={shlex.quote(value)}" for name, value in COMPLETE.items()]
    path.write_text("\n".join(["# made by hand", "", *lines, "export BATCHAI_CA_FILE=/ca.pem"]))
    settings = ConnectionSettings.from_file(path)

    assert (settings.client_secret, str(settings.ca_file)) == ("s3cret", "/ca.pem")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("AZURE_TENANT_ID=x", "does not set BATCHAI_ENDPOINT"),
        ("A=1\nnot an assignment", "line 2"),
        ("A='open", "line 1"),
        ("1A=x", "line 1"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, content, message):
    """The line's content may be a secret and is not shown."""
    path = tmp_path / "env"
    path.write_text(content)

    with pytest.raises(ConfigurationError, match=message):
        ConnectionSettings.from_file(path)


def test_a_missing_file_is_named(tmp_path):
    """With the system's own reason."""
    with pytest.raises(ConfigurationError, match="No such file"):
        ConnectionSettings.from_file(tmp_path / "missing")


@given(st.dictionaries(st.from_regex(r"[A-Z_]{1,9}", fullmatch=True), st.text("ab'\"$ \\#=é")))
def test_what_is_quoted_for_a_shell_is_read_back(tmp_path_factory, variables):
    """Secrets may hold any printable character."""
    path = tmp_path_factory.mktemp("env") / "file"
    path.write_text("".join(f"{n}={shlex.quote(v)}\n" for n, v in variables.items()))

    assert variables == read_env_file(path)


def test_the_state_directory_can_be_named(tmp_path):
    """Tests and containers do."""
    assert tmp_path == default_state_dir({"BATCHAI_RECIPES_STATE_DIR": str(tmp_path)})
