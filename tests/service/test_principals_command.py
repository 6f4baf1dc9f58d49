"""`batchai-recipes serve principals`, beside a running service and without one."""

import json
import subprocess
from pathlib import Path

import pytest
import requests
from attrs import evolve
from forked_programs import COMMAND

from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.app import Service, ServiceOptions
from batchai_recipes.service.credentials import Credentials
from batchai_recipes.service.schema import MIGRATIONS
from batchai_recipes.service.state_directory import StateDirectory, write_private
from batchai_recipes.service.store import Store
from batchai_recipes.settings import read_env_file

SCOPE = "https://management.azure.com/.default"


@pytest.fixture
def run(forked):
    """Run the command."""

    def run(state: StateDirectory, *arguments: str) -> subprocess.CompletedProcess[str]:
        options = ("serve", "--state-dir", state.root, "principals")
        return forked.run(COMMAND, *options, *arguments)

    return run


def told(done: subprocess.CompletedProcess[str], tmp_path: Path) -> dict[str, str]:
    """Return the settings that the command printed."""
    assert done.returncode == 0, done.stderr
    (tmp_path / "told").write_text(done.stdout)
    return read_env_file(tmp_path / "told")


def sign_in(address: ServiceAddress) -> requests.Response:
    """Ask for a token."""
    return requests.post(
        f"{address.endpoint}/{address.tenant_id}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": address.client_id,
            "client_secret": address.client_secret,
            "scope": SCOPE,
        },
        verify=address.ca_file,
        timeout=30,
    )


@pytest.fixture
def running(state):
    """The address of a service that runs on the state directory."""
    service = Service(ServiceOptions(state))
    address = service.start()
    write_private(state.address, address.as_json())
    yield address
    service.stop()


def test_a_running_service_heeds_each_change(run, state, running, tmp_path):
    """Add, list, rotate and remove: who may sign in changes at once."""
    made = told(run(state, "add", "nightly"), tmp_path)
    assert made["AZURE_TENANT_ID"] == running.tenant_id
    other = evolve(
        running, client_id=made["AZURE_CLIENT_ID"], client_secret=made["AZURE_CLIENT_SECRET"]
    )
    token = sign_in(other).json()["access_token"]

    listed = run(state, "list").stdout
    assert f"{running.client_id}  service" in listed
    assert f"{other.client_id}  nightly" in listed
    assert other.client_secret not in listed

    rotated = told(run(state, "rotate", "nightly"), tmp_path)
    assert sign_in(other).json()["error"] == "invalid_client"
    other = evolve(other, client_secret=rotated["AZURE_CLIENT_SECRET"])
    assert sign_in(other).status_code == 200

    def groups() -> int:
        return requests.get(
            f"{running.endpoint}/subscriptions/{running.subscription_id}/resourceGroups",
            params={"api-version": "2021-04-01"},
            headers={"Authorization": f"Bearer {token}"},
            verify=running.ca_file,
            timeout=30,
        ).status_code

    assert groups() == 200
    assert run(state, "remove", other.client_id).stdout == f"Removed {other.client_id} nightly\n"
    assert groups() == 401
    assert sign_in(other).json()["error"] == "unauthorized_client"


def test_the_services_own_secret_is_rotated_where_its_library_reads_it(
    run, state, running, tmp_path
):
    """In the address file and in what the next service starts with; it cannot be removed."""
    rotated = told(run(state, "rotate", "service"), tmp_path)
    assert sign_in(running).status_code == 401
    assert sign_in(ServiceAddress.from_file(state.address)).status_code == 200
    assert Credentials.ensure(state).client_secret == rotated["AZURE_CLIENT_SECRET"]
    done = run(state, "remove", "service")
    assert (done.returncode, done.stdout) == (2, "")
    assert "rotate its secret instead" in done.stderr


def test_principals_are_added_before_the_first_start(run, state, tmp_path):
    """Whoever sets a machine up need not start the service for that."""
    made = told(run(state, "add", "first"), tmp_path)
    service = Service(ServiceOptions(state))
    try:
        address = evolve(
            service.start(),
            client_id=made["AZURE_CLIENT_ID"],
            client_secret=made["AZURE_CLIENT_SECRET"],
        )
        assert sign_in(address).status_code == 200
    finally:
        service.stop()


def test_records_under_a_running_service_are_not_brought_forward(tmp_path, monkeypatch):
    """The service of an earlier release would fail on them."""
    monkeypatch.setattr("batchai_recipes.service.store.MIGRATIONS", MIGRATIONS[:-1])
    Store(tmp_path / "state.db").close()
    monkeypatch.undo()
    with pytest.raises(Exception, match="restart it with this release first"):
        Store(tmp_path / "state.db", migrate=False)


def test_the_results_as_json(run, state, tmp_path):
    """With all that signs a principal in."""
    added = json.loads(run(state, "add", "nightly", "--json").stdout)
    assert set(added) == {"name", "tenantId", "clientId", "clientSecret"}
    rotated = json.loads(run(state, "rotate", "nightly", "--json").stdout)
    assert {**rotated, "clientSecret": ""} == {**added, "clientSecret": ""}
    assert rotated["clientSecret"] != added["clientSecret"]
    (listed,) = [
        one
        for one in json.loads(run(state, "list", "--json").stdout)
        if one["clientId"] == added["clientId"]
    ]
    assert listed["rotatedAt"]
    gone = json.loads(run(state, "remove", "nightly", "--json").stdout)
    assert gone == {"removed": {"clientId": added["clientId"], "name": "nightly"}}


def test_a_mistake_is_told_in_one_line(run, state):
    """No traceback, and what to do."""
    done = run(state, "add", "-bad/name")
    assert done.returncode != 0
    done = run(state, "add", "bad/name")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: 'bad/name' cannot name a principal")
    assert "name one of service" in run(state, "rotate", "nobody").stderr


def test_the_list_as_json(run, state):
    """Without secrets."""
    run(state, "add", "first")
    done = run(state, "list", "--json")
    known = {one["name"]: one for one in json.loads(done.stdout)}
    assert set(known["first"]) == {"clientId", "name", "createdAt", "rotatedAt"}


@pytest.mark.parametrize("command", [["list"], ["rotate", "service"], ["remove", "service"]])
def test_a_state_directory_that_is_not_there_is_not_made(run, tmp_path, command):
    """But by `add`: the others have nothing to find there."""
    done = run(StateDirectory(tmp_path / "typo"), *command)
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no state directory" in done.stderr
    assert not (tmp_path / "typo").exists()
