"""`batchai-recipes serve --only files`: the emulator of Azure Files on its own."""

import base64
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from azure.identity import ClientSecretCredential
from azure.storage.file import FileService
from azure.storage.fileshare import ShareServiceClient

from batchai_recipes import Connection, ConnectionSettings
from batchai_recipes.errors import BatchAIRecipesError, ConfigurationError
from batchai_recipes.service.launcher import LaunchError, LocalService
from batchai_recipes.settings import read_env_file

KEY = base64.b64encode(b"a key that a test suite may show").decode()
ACCOUNT = ("--only", "files", "--account", "emulator", "--account-key", KEY)
STRING = "AZURE_STORAGE_CONNECTION_STRING"


@pytest.fixture(scope="module")
def emulator(serving, tmp_path_factory):
    """A running emulator: what it said, and the settings that it wrote."""
    folder = tmp_path_factory.mktemp("emulator")
    with serving(folder / "state", *ACCOUNT, "--env-file", folder / "env") as process:
        yield "".join(process.said), read_env_file(folder / "env")


@pytest.fixture
def localhost_names(monkeypatch):
    """Names under localhost are found, as resolvers of systemd and browsers find them."""
    real = socket.getaddrinfo

    def find(host, *args, **options):
        return real("127.0.0.1" if str(host).endswith(".localhost") else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", find)


def test_it_prints_what_it_writes(emulator):
    """Connection strings for both styles and both schemes, and nothing of a management plane."""
    said, variables = emulator

    strings = {name: value for name, value in variables.items() if name.startswith(STRING)}
    assert {name.removeprefix(STRING) for name in strings} == {
        "", "_HTTPS", "_HOST_STYLE", "_HOST_STYLE_HTTPS",
    }  # fmt: skip
    for name, value in strings.items():
        assert f"{name}={value}\n" in said
        assert f"AccountName=emulator;AccountKey={KEY};" in value
    assert "FileEndpoint=http://emulator.file.core.localhost:" in strings[f"{STRING}_HOST_STYLE"]
    assert "BATCHAI_ENDPOINT" not in variables
    assert "AZURE_SUBSCRIPTION_ID" not in variables


@pytest.mark.parametrize("suffix", ["", "_HTTPS", "_HOST_STYLE", "_HOST_STYLE_HTTPS"])
def test_every_connection_string_works_with_both_clients(
    emulator, localhost_names, monkeypatch, suffix
):
    """They all lead to the same storage."""
    _, variables = emulator
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", variables["REQUESTS_CA_BUNDLE"])
    string, authority = variables[STRING + suffix], variables["BATCHAI_CA_FILE"]
    share = "share" + suffix.lower().replace("_", "-")

    old = FileService(connection_string=string)
    assert old.create_share(share)
    old.create_file_from_text(share, None, "a b.txt", "text")
    old.request_session.close()
    with ShareServiceClient.from_connection_string(string, connection_verify=authority) as new:
        file = new.get_share_client(share).get_file_client("a b.txt")
        assert file.download_file().readall() == b"text"

    with ShareServiceClient.from_connection_string(variables[STRING]) as plain:
        assert share in [item.name for item in plain.list_shares()]
        plain.delete_share(share)


def test_tokens_come_from_its_own_endpoint(emulator):
    """Azure's identity library and newest client, by the settings alone."""
    _, variables = emulator
    authority = variables["BATCHAI_CA_FILE"]
    credential = ClientSecretCredential(
        variables["AZURE_TENANT_ID"],
        variables["AZURE_CLIENT_ID"],
        variables["AZURE_CLIENT_SECRET"],
        authority=variables["AZURE_AUTHORITY_HOST"],
        disable_instance_discovery=True,
        connection_verify=authority,
    )
    with (
        credential,
        ShareServiceClient(
            variables["BATCHAI_FILES_HTTPS_ENDPOINT"],
            credential=credential,
            token_intent="backup",
            connection_verify=authority,
        ) as client,
    ):
        client.create_share("by-token")
        assert "by-token" in [item.name for item in client.list_shares()]
        client.delete_share("by-token")


def test_there_is_no_management_plane(emulator):
    """A program that wants one is told so."""
    _, variables = emulator
    reply = requests.get(
        f"{variables['AZURE_AUTHORITY_HOST']}/subscriptions",
        verify=variables["BATCHAI_CA_FILE"],
        timeout=10,
    )

    assert reply.status_code == 404


def test_the_library_does_not_take_it_for_a_whole_service(serving, tmp_path):
    """Neither by its settings nor by its state directory."""
    with serving(tmp_path / "state", "--only", "files", "--env-file", tmp_path / "env"):
        with pytest.raises(ConfigurationError, match="BATCHAI_ENDPOINT"):
            ConnectionSettings.from_file(tmp_path / "env")
        with pytest.raises(LaunchError, match="for files only runs on .*BATCHAI_RECIPES_STATE_DIR"):
            LocalService(tmp_path / "state")
        with pytest.raises(BatchAIRecipesError, match="for files only"):
            Connection.embedded(tmp_path / "state")


def listing(string):
    """List the shares of a connection string; returns their names, or Azure's code."""
    client = FileService(connection_string=string)
    client.retry = lambda _context: None
    try:
        return [item.name for item in client.list_shares()]
    except Exception as error:  # noqa: BLE001 - the old client raises several kinds
        return getattr(error, "error_code", str(error))
    finally:
        client.request_session.close()


def test_an_account_keeps_its_shares_and_key(serving, tmp_path):
    """Without the option, it has the key of the last time; another key takes its place."""
    env_file, state = tmp_path / "env", tmp_path / "state"

    def string(*arguments):
        with serving(state, "--env-file", env_file, "--only", "files", *arguments) as process:
            found = read_env_file(env_file)[STRING]
            client = FileService(connection_string=found)
            client.create_share("kept")
            client.request_session.close()
            process.kill()
            process.wait()
        return found

    def with_port(found, other):
        head = found.partition("FileEndpoint=")[0]
        return head + "FileEndpoint=" + other.partition("FileEndpoint=")[2]

    first = string("--account", "emulator", "--account-key", KEY)
    again = string("--account", "emulator")
    assert again.partition("FileEndpoint")[0] == first.partition("FileEndpoint")[0]
    other = base64.b64encode(b"another").decode()
    options = ("--account", "emulator", "--account-key", other)
    with serving(state, "--env-file", env_file, "--only", "files", *options):
        present = read_env_file(env_file)[STRING]
        assert listing(present) == ["kept"]
        assert listing(with_port(first, present)) == "AuthenticationFailed"


def test_the_account_may_come_from_the_environment(serving, tmp_path, monkeypatch):
    """Where no process list shows the key."""
    monkeypatch.setenv("BATCHAI_RECIPES_ACCOUNT", "byenv")
    monkeypatch.setenv("BATCHAI_RECIPES_ACCOUNT_KEY", KEY)
    with serving(tmp_path / "state", "--env-file", tmp_path / "env"):  # the whole service too
        variables = read_env_file(tmp_path / "env")

    assert (variables["AZURE_STORAGE_ACCOUNT"], variables["AZURE_STORAGE_KEY"]) == ("byenv", KEY)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--account", "Upper"), "cannot name a storage account"),
        (("--account", "devstoreaccount1"), "choose another name"),
        (("--account", "demo", "--account-key", "no base64!"), "must be base64"),
        (("--account", "demo", "--account-key", ""), None),
        (("--only", "blobs"), "files"),
    ],
)
def test_options_that_cannot_be(serving, serve, tmp_path, arguments, reason):
    """Are told before anything is served."""
    if reason is None:  # an empty variable is none
        with serving(tmp_path, *arguments):
            return
    done = serve("--state-dir", tmp_path, *arguments)

    assert done.returncode != 0
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_it_loads_no_more_than_it_needs(tmp_path):
    """So that it starts quickly."""
    program = """
        import sys
        from pathlib import Path
        from batchai_recipes.service.app import Service, ServiceOptions
        from batchai_recipes.service.state_directory import StateDirectory
        state = StateDirectory(Path(sys.argv[1]))
        state.create()
        service = Service(ServiceOptions(state, only_files=True))
        service.start()
        service.stop()
        print([name for name in sys.modules if name.endswith(("management.app", ".scheduler"))])
    """
    lines = "\n".join(line.strip() for line in program.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", lines, str(tmp_path / "state")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert eval(done.stdout) == []
    assert Path(tmp_path / "state" / "state.db").exists()


def test_the_code_of_the_document_runs(emulator, monkeypatch):
    """With the variables of the settings file, and nothing else."""
    for name, value in emulator[1].items():
        monkeypatch.setenv(name, value)
    document = Path(__file__).parents[2] / "docs" / "files.md"
    blocks = re.findall(r"^```python\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)

    assert len(blocks) == 2
    for block in blocks:
        scope = {}
        exec(block, scope)
        with scope["service"] as client:
            assert [item.name for item in client.list_shares()] == ["data"]
        if "credential" in scope:
            scope["credential"].close()
