"""`batchai-recipes serve`, as a person or another program runs it."""

import json
import re
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from batchai_recipes import Connection, ConnectionSettings
from batchai_recipes.service.schema import MIGRATIONS
from batchai_recipes.settings import read_env_file

NAMES = {
    "BATCHAI_ENDPOINT",
    "BATCHAI_CA_FILE",
    "REQUESTS_CA_BUNDLE",
    "AZURE_AUTHORITY_HOST",
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_SUBSCRIPTION_ID",
    "AZURE_STORAGE_ACCOUNT",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_CONNECTION_STRING_HTTPS",
    "AZURE_STORAGE_CONNECTION_STRING_HOST_STYLE",
    "AZURE_STORAGE_CONNECTION_STRING_HOST_STYLE_HTTPS",
    "NODE_EXTRA_CA_CERTS",
    "BATCHAI_FILES_HTTPS_ENDPOINT",
    "BATCHAI_FILES_ENDPOINT",
}


def command(*arguments: object) -> list[str]:
    """Return the command line of `serve`."""
    return [sys.executable, "-m", "batchai_recipes.cli", "serve", *map(str, arguments)]


def test_it_says_where_it_listens_and_writes_the_settings(serving, tmp_path):
    """The names of the documentation, for its owner alone."""
    env_file = tmp_path / "env"
    with serving(tmp_path / "state", "--env-file", env_file) as process:
        variables = read_env_file(env_file)
        output = "".join(process.said)

    assert set(variables) == NAMES
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    assert variables["BATCHAI_ENDPOINT"] in output
    assert variables["BATCHAI_FILES_ENDPOINT"] in output
    assert variables["AZURE_CLIENT_SECRET"] not in output
    assert variables["AZURE_STORAGE_KEY"] not in output


def test_the_settings_file_is_all_that_a_client_needs(serving, tmp_path):
    """The library's own connection, and a shell that sources it."""
    env_file = tmp_path / "env"
    with serving(tmp_path / "state", "--env-file", env_file):
        with Connection(ConnectionSettings.from_file(env_file)) as connection:
            connection.resources.resource_groups.create_or_update("g", {"location": "eastus"})
            assert connection.files.create_share("data")
        script = f". {env_file}; curl -s --cacert $BATCHAI_CA_FILE $BATCHAI_ENDPOINT/subscriptions"
        curl = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)

    assert "AuthenticationFailed" in curl.stdout


def test_the_documents_curl_commands_work_as_they_stand(serving, tmp_path):
    """Sign in, make, list and delete; each answer is the last line of a command."""
    text = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()
    [script] = re.findall(r"```sh\n([.] [^`]*?)```", text)
    with serving(tmp_path / "state", "--env-file", tmp_path / "batchai.env"):
        done = subprocess.run(
            ["sh", "-e", "-c", script.replace("\nask", "\necho; ask")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )

    group, workspace, experiment, listed = map(json.loads, filter(None, done.stdout.split("\n")))
    assert group["name"] == "demo"
    assert workspace["properties"]["provisioningState"] == "succeeded"
    assert listed["value"] == [experiment]


def test_another_host_is_warned_of_and_certified(serving, tmp_path):
    """Everybody's address here, by the machine's own name; nothing else is said."""
    env_file = tmp_path / "env"
    with serving(tmp_path / "state", "--env-file", env_file, "--host", "0.0.0.0") as process:
        variables = read_env_file(env_file)
        host, _, port = variables["BATCHAI_ENDPOINT"].removeprefix("https://").rpartition(":")
        trusting = ssl.create_default_context(cafile=variables["BATCHAI_CA_FILE"])
        with (
            socket.create_connection(("127.0.0.1", int(port))) as plain,
            trusting.wrap_socket(plain, server_hostname=host),
        ):
            pass
        process.terminate()
        _, err = process.communicate()

    assert host == socket.gethostname()
    assert "Listening on 0.0.0.0, where other machines reach the service" in err
    assert err.count("\n") == 1


def test_where_it_is_as_json(tmp_path):
    """Without secrets, which the file of settings has."""
    process = subprocess.Popen(
        command("--state-dir", tmp_path / "state", "--env-file", tmp_path / "env", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    told = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
    process.terminate()
    out, err = process.communicate()

    assert told["endpoint"] == read_env_file(tmp_path / "env")["BATCHAI_ENDPOINT"]
    assert told["envFile"] == str(tmp_path / "env")
    assert (process.returncode, out, err) == (0, "", "Stopped\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_on_a_signal(serving, tmp_path, number):
    """With status 0, and the ports are free again."""
    with serving(tmp_path / "state") as process:
        process.send_signal(number)
        out, err = process.communicate()

    assert (process.returncode, out, err) == (0, "Stopped\n", "")


def test_a_port_in_use_is_named(serve, tmp_path):
    """And what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve("--state-dir", tmp_path, "--files-port", port)

    assert done.returncode == 1
    assert re.fullmatch(
        rf"Error: Cannot listen on 127.0.0.1:{port}: .*name another port.*\n", done.stderr
    )


def test_one_state_directory_has_one_service(serving, serve, tmp_path):
    """The second one is told."""
    with serving(tmp_path):
        done = serve("--state-dir", tmp_path)

    assert done.returncode == 1
    assert "Another service runs on" in done.stderr


def test_records_of_a_later_release_are_left_alone(serve, tmp_path):
    """A downgrade must not lose anything."""
    database = sqlite3.connect(tmp_path / "state.db")
    database.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    database.close()
    done = serve("--state-dir", tmp_path)

    assert done.returncode == 1
    assert "use the release that wrote it" in done.stderr


def test_a_settings_file_that_cannot_be_written_ends_it(serve, tmp_path):
    """Before it says that it serves."""
    done = serve("--state-dir", tmp_path, "--env-file", tmp_path / "missing" / "env")

    assert (done.returncode, done.stdout) == (1, "")
    assert "No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_was_acknowledged_is_there_after_a_kill(serving, tmp_path):
    """The same credentials, resource groups and shares."""
    env_file = tmp_path / "env"
    with serving(tmp_path / "state", "--env-file", env_file) as process:
        with Connection(ConnectionSettings.from_file(env_file)) as connection:
            connection.resources.resource_groups.create_or_update("g", {"location": "eastus"})
            connection.files.create_share("data")
            connection.files.create_file_from_text("data", None, "a.txt", "text")
        process.kill()
        process.wait()
    with (
        serving(tmp_path / "state", "--env-file", env_file),
        Connection(ConnectionSettings.from_file(env_file)) as connection,
    ):
        assert connection.resources.resource_groups.check_existence("g")
        assert connection.files.get_file_to_text("data", None, "a.txt").content == "text"


def test_nobody_gets_in_without_credentials(serving, tmp_path):
    """On loopback too."""
    env_file = tmp_path / "env"
    with serving(tmp_path / "state", "--env-file", env_file):
        variables = read_env_file(env_file)
        management = requests.get(
            f"{variables['BATCHAI_ENDPOINT']}/subscriptions/x/resourcegroups",
            params={"api-version": "2019-10-01"},
            verify=variables["BATCHAI_CA_FILE"],
            timeout=10,
        )
        files = requests.get(f"{variables['BATCHAI_FILES_ENDPOINT']}?comp=list", timeout=10)

    assert (management.status_code, files.status_code) == (401, 401)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--scale-down-after", "6 minutes", "PT30M"),
        ("--preemptions-per-hour", "-1", "Invalid value"),
        ("--ray-address", "10.0.0.4:6379", "--ray-address has a meaning with --engine ray only"),
        ("--ray-strategy", "SPRAED", "'spread'"),
    ],
)
def test_options_of_clusters_are_checked(serve, tmp_path, option, value, told):
    """With how to write them, and no traceback."""
    done = serve("--state-dir", tmp_path, option, value)

    assert done.returncode in {1, 2}
    assert told in done.stderr
    assert "Traceback" not in done.stderr
