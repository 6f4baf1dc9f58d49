"""Volumes that are no shares of the service: used where a machine sees them, else refused early."""

import subprocess
import sys

import pytest
from azure.storage.file import FileService
from ray_client import WORKSPACE, Client, make_cluster, nodes_are_idle, nodes_in, wait_until

from batchai_recipes import ConnectionSettings
from batchai_recipes.settings import read_env_file

pytestmark = pytest.mark.slow
CLUSTER = f"{WORKSPACE}/clusters/c"


@pytest.fixture
def elsewhere(in_ray_cluster, tmp_path):
    """A client of a file service beside, whose share has a file; and where that service is."""
    env_file = tmp_path / "elsewhere.env"
    command = [sys.executable, "-m", "batchai_recipes.cli", "serve", "--only", "files"]
    command += ["--host", in_ray_cluster.host, "--state-dir", str(tmp_path / "elsewhere")]
    with subprocess.Popen(
        [*command, "--env-file", str(env_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert any(line.startswith("Stop with") for line in process.stdout)
            variables = read_env_file(env_file)
            files = FileService(connection_string=variables["AZURE_STORAGE_CONNECTION_STRING"])
            files.create_share("data")
            files.create_file_from_text("data", None, "in.txt", "brought")
            yield files, variables
        finally:
            process.terminate()


def make_mounting_cluster(client, **volumes):
    """Make the cluster anew, of one node that mounts volumes; return what is wrong with it."""
    client.ask("DELETE", CLUSTER)
    wait_until(lambda: not client.ask("GET", f"{WORKSPACE}/clusters")["value"])
    client.ask(
        "PUT",
        CLUSTER,
        {
            "properties": {
                "vmSize": "STANDARD_D1",
                "scaleSettings": {"manual": {"targetNodeCount": 1}},
                "userAccountSettings": {"adminUserName": "demo", "adminUserPassword": "x"},
                "nodeSetup": {"mountVolumes": volumes},
            }
        },
    )
    wait_until(
        lambda: nodes_are_idle(client, 1) or client.ask("GET", CLUSTER)["properties"].get("errors")
    )
    return client.ask("GET", CLUSTER)["properties"].get("errors") or []


def run_job(client, folder, command, **properties):
    """Run a job, and return its properties when it has ended."""
    settings = ConnectionSettings.from_file(client.service.env_file)
    path = f"{WORKSPACE}/experiments/e/jobs/job"
    body = {
        "cluster": {"id": f"/subscriptions/{settings.subscription_id}{CLUSTER}"},
        "nodeCount": 1,
        "stdOutErrPathPrefix": str(folder),
        "customToolkitSettings": {"commandLine": command},
        **properties,
    }
    client.ask("PUT", path, {"properties": body})

    def ended():
        found = client.ask("GET", path)["properties"]
        return found["executionState"] in {"succeeded", "failed"} and found

    return wait_until(ended)


def make_file_server(client):
    """Make a file server, and return its id."""
    properties = {
        "vmSize": "STANDARD_D1",
        "dataDisks": {"diskSizeInGB": 1, "diskCount": 1, "storageAccountType": "Standard_LRS"},
        "sshConfiguration": {
            "userAccountSettings": {"adminUserName": "demo", "adminUserPassword": "x"}
        },
    }
    client.ask("PUT", f"{WORKSPACE}/fileServers/s", {"properties": properties})
    return client.ask("GET", f"{WORKSPACE}/fileServers/s")["id"]


def share_of(variables, path):
    """A reference to the share of another endpoint."""
    return {
        "accountName": variables["AZURE_STORAGE_ACCOUNT"],
        "azureFileUrl": f"{variables['BATCHAI_FILES_ENDPOINT']}/data",
        "credentials": {"accountKey": variables["AZURE_STORAGE_KEY"]},
        "relativeMountPath": path,
    }


def test_what_machines_see_is_used(new_service, in_ray_cluster, elsewhere, tmp_path):
    """A share of another endpoint, a file server and a folder of the machine; and written to."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "here.txt").write_text("found")
    with new_service() as service:
        client = Client(service)
        make_cluster(client, 0)
        server = make_file_server(client)
        errors = make_mounting_cluster(
            client,
            azureFileShares=[share_of(elsewhere[1], "away")],
            fileServers=[{"fileServer": {"id": server}, "relativeMountPath": "server"}],
            unmanagedFileSystems=[
                {"mountCommand": f"mount --bind {data}", "relativeMountPath": "bound"}
            ],
        )
        assert errors == []
        found = run_job(
            client,
            tmp_path / "logs",
            "cd $AZ_BATCHAI_MOUNT_ROOT && cat away/in.txt bound/here.txt > away/out.txt && "
            "cp away/out.txt server/kept.txt && cp server/kept.txt bound/kept.txt",
        )
        assert found["executionState"] == "succeeded", found
        assert elsewhere[0].get_file_to_text("data", None, "out.txt").content == "broughtfound"
        assert (data / "kept.txt").read_text() == "broughtfound"
        client.ask("DELETE", "/resourceGroups/g")
        wait_until(lambda: not nodes_in(in_ray_cluster))


@pytest.fixture(scope="module")
def service(run_service, ray_cluster):
    """A service whose state they do not see."""
    with (
        ray_cluster.entered(),
        run_service(ray_cluster.hidden / "volumes", ray_cluster) as service,
    ):
        yield service


class TestHidden:
    """Machines that do not see the service's state directory."""

    @pytest.fixture
    def hidden(self, service, in_ray_cluster):
        """A client of that service, which has nothing else."""
        client = Client(service)
        make_cluster(client, 0)
        yield client
        client.ask("DELETE", "/resourceGroups/g")
        wait_until(lambda: not nodes_in(in_ray_cluster))

    @pytest.mark.parametrize("kind", ["share", "container", "file server"])
    def test_what_they_cannot_see_is_refused(self, hidden, elsewhere, kind):
        """The node is unusable before anything is copied, and says what to do."""
        container = {
            "accountName": "away",
            "containerName": "data",
            "credentials": {"accountKey": "a2V5"},
            "relativeMountPath": "away",
        }
        volumes = {
            "share": lambda: {"azureFileShares": [share_of(elsewhere[1], "away")]},
            "container": lambda: {"azureBlobFileSystems": [container]},
            "file server": lambda: {
                "fileServers": [
                    {"fileServer": {"id": make_file_server(hidden)}, "relativeMountPath": "away"}
                ]
            },
        }
        (error,) = make_mounting_cluster(hidden, **volumes[kind]())
        assert error["code"] == "ShareMountFailed"
        assert "The volume for 'away' cannot be mounted on the node tvm-" in error["message"]
        assert "copy the data to one, or mount " in error["message"]
        assert str(hidden.service.state) in error["message"]

    def test_a_job_with_such_a_volume_fails_and_says_so(self, hidden, elsewhere, tmp_path):
        """It has run nothing, and its node is there for the next."""
        assert make_mounting_cluster(hidden) == []
        away = {"azureFileShares": [share_of(elsewhere[1], "away")]}
        found = run_job(hidden, tmp_path, "echo ran", mountVolumes=away)
        assert found["executionState"] == "failed"
        (error,) = found["executionInfo"]["errors"]
        assert error["code"] == "ShareMountFailed", error
        assert "copy the data to one, or mount " in error["message"]
        assert nodes_are_idle(hidden, 1)

    def test_folders_of_their_own_are_mounted(self, hidden, tmp_path):
        """With what a job writes there; one that a machine has not is named."""
        bound = [{"mountCommand": f"mount --bind {tmp_path}", "relativeMountPath": "bound"}]
        assert make_mounting_cluster(hidden, unmanagedFileSystems=bound) == []
        found = run_job(hidden, tmp_path, "echo kept > $AZ_BATCHAI_MOUNT_ROOT/bound/kept.txt")
        assert found["executionState"] == "succeeded", found
        assert (tmp_path / "kept.txt").read_text() == "kept\n"
        missing = hidden.service.state.with_name("of-this-machine")
        missing.mkdir()
        bound = [{"mountCommand": f"mount --bind {missing}", "relativeMountPath": "bound"}]
        (error,) = make_mounting_cluster(hidden, unmanagedFileSystems=bound)
        assert error["code"] == "ShareMountFailed"
        assert f"its machine has no {missing}: make it on all machines of Ray" in error["message"]
