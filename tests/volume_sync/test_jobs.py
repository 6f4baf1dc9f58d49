"""Jobs and clusters of a service that mount what lies at other endpoints."""

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from azure.mgmt.batchai import models

from batchai_recipes import Connection
from batchai_recipes.service.address import ServiceAddress

PATIENCE_SECONDS = 60
GROUP = "group"
ENDED = {"succeeded", "failed"}
ROOT = "$AZ_BATCHAI_JOB_MOUNT_ROOT"


def until(condition):
    """Wait until a condition holds, and return what it returned."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)
    return found


class Lab:
    """A workspace of a service."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection = connection
        self.names = (GROUP, name)
        connection.resources.resource_groups.create_or_update(GROUP, {"location": "eastus"})
        connection.batchai.workspaces.begin_create(*self.names, {"location": "eastus"}).result()
        connection.batchai.experiments.begin_create(*self.names, "exp").result()

    def cluster(self, *, setup_task=None, **volumes):
        """Make a cluster of one node; return it once its node is idle or unusable."""
        setup = models.NodeSetup(
            mount_volumes=models.MountVolumes(**volumes) if volumes else None,
            setup_task=setup_task,
        )
        manual = models.ManualScaleSettings(target_node_count=1)
        parameters = models.ClusterCreateParameters(
            vm_size="STANDARD_D1",
            scale_settings=models.ScaleSettings(manual=manual),
            user_account_settings=models.UserAccountSettings(
                admin_user_name="demo", admin_user_password="pass-word"
            ),
            node_setup=setup,
        )
        clusters = self.connection.batchai.clusters
        clusters.begin_create(*self.names, "cluster", parameters).result()

        def settled():
            shown = clusters.get(*self.names, "cluster")
            counts = shown.node_state_counts
            return shown if counts.idle_node_count + counts.unusable_node_count else None

        return until(settled)

    def submit(self, command, *, name="job", **properties):
        """Make a job."""
        settings = {
            "cluster": models.ResourceId(id=self._cluster_id),
            "node_count": 1,
            "custom_toolkit_settings": models.CustomToolkitSettings(command_line=command),
            "std_out_err_path_prefix": f"{ROOT}/vol",
            **properties,
        }
        parameters = models.JobCreateParameters(**settings)
        self.connection.batchai.jobs.begin_create(*self.names, "exp", name, parameters).result()

    def job(self, name="job"):
        """Return a job."""
        return self.connection.batchai.jobs.get(*self.names, "exp", name)

    def downloads(self, directory, name="job"):
        """Return the content of the files in an output directory, read by their links."""
        options = models.JobsListOutputFilesOptions(outputdirectoryid=directory)
        found = self.connection.batchai.jobs.list_output_files(*self.names, "exp", name, options)
        return {
            file.name: requests.get(file.download_url, timeout=30).content
            for file in found
            if file.file_type == "file"
        }

    def ended(self, name="job"):
        """Wait for a job's end and return it."""
        return until(lambda: (job := self.job(name)).execution_state in ENDED and job)

    def run(self, command, **properties):
        """Make a job and wait for its end."""
        self.submit(command, **properties)
        return self.ended(properties.get("name", "job"))

    @property
    def _cluster_id(self):
        return self.connection.batchai.clusters.get(*self.names, "cluster").id


@pytest.fixture(scope="module")
def service(request, tmp_path_factory) -> Iterator[Connection]:
    """A service that runs for all tests of this module, and knows where Azurite is."""
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("BATCHAI_AZURITE"):
            azurite = request.getfixturevalue("blobs_endpoint")
            patch.setenv("BATCHAI_RECIPES_BLOB_ENDPOINTS", f"{azurite.account}={azurite.url}")
        connection = Connection.embedded(tmp_path_factory.mktemp("service"))
    with connection:
        yield connection


@pytest.fixture
def lab(service, request) -> Lab:
    """A workspace of this test's own."""
    return Lab(service, re.sub(r"\W", "-", request.node.name)[-60:])


def volume(end, *, key=None, at="vol", **options):
    """Describe a mount of a share or a container."""
    credentials = models.AzureStorageCredentialsInfo(account_key=key or end.key)
    if end.kind == "blobs":
        reference = models.AzureBlobFileSystemReference(
            account_name=end.account,
            container_name=end.name,
            credentials=credentials,
            relative_mount_path=at,
            **options,
        )
        return {"azure_blob_file_systems": [reference]}
    reference = models.AzureFileShareReference(
        account_name=end.account,
        azure_file_url=f"{end.endpoint}/{end.name}",
        credentials=credentials,
        relative_mount_path=at,
        **options,
    )
    return {"azure_file_shares": [reference]}


def on_job(end, **options):
    """Return the properties of a job that mounts a volume of its own."""
    return {"mount_volumes": models.MountVolumes(**volume(end, **options))}


def output(end, job, path):
    """Read a file below a job's own directory in a volume."""
    return end.get(f"{job.job_output_directory_path_segment}/{path}")


def left(service, kind):
    """Return what lies in a folder of the state directory."""
    return sorted(path.name for path in (service.state_dir / kind).iterdir())


def test_inputs_arrive_and_outputs_are_there_when_the_job_has_succeeded(lab, end, service):
    """Its logs too; and nothing of the copies or of the key is left."""
    end.put("data/in.txt", b"weights")
    lab.cluster()
    job = lab.run(
        f"tr a-z A-Z < {ROOT}/vol/data/in.txt > $AZ_BATCHAI_OUTPUT_MODEL/out.txt; echo said",
        output_directories=[
            models.OutputDirectory(id="MODEL", path_prefix=f"{ROOT}/vol", path_suffix="Models")
        ],
        **on_job(end),
    )
    assert (job.execution_state, job.execution_info.exit_code) == ("succeeded", 0)
    assert output(end, job, "outputs/Models/out.txt") == b"WEIGHTS"
    assert output(end, job, "stdouterr/stdout.txt") == b"said\n"
    assert lab.downloads("MODEL") == {"out.txt": b"WEIGHTS"}
    assert lab.downloads("stdouterr")["stdout.txt"] == b"said\n"
    log = output(end, job, "stdouterr/execution.log").decode()
    assert "copied in 1 files" in log
    assert "copied back" in log
    assert end.get("data/in.txt") == b"weights"
    files = [path for path in service.state_dir.rglob("*") if path.is_file()]
    holders = {path.name for path in files if end.key.encode() in path.read_bytes()}
    assert holders <= {"state.db", "state.db-wal"}
    uid = job.job_output_directory_path_segment.rpartition("/")[2]
    assert list((service.state_dir / "volumes" / uid).glob("*/data")) == []


def test_logs_appear_while_the_job_runs(lab, share, tmp_path):
    """The gate opens when the log has been seen at the other end."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    lab.cluster()
    lab.submit(f"echo begun; read x < {gate}; echo ended", **on_job(share))
    job = lab.job()
    until(lambda: output(share, job, "stdouterr/stdout.txt") == b"begun\n")
    assert lab.job().execution_state == "running"
    assert lab.downloads("stdouterr")["stdout.txt"] == b"begun\n"
    gate.write_text("go\n")
    assert lab.ended().execution_state == "succeeded"
    assert output(share, job, "stdouterr/stdout.txt") == b"begun\nended\n"


def test_a_failed_job_keeps_its_own_error_and_its_logs_arrive(lab, share):
    """So that its user sees why."""
    lab.cluster()
    job = lab.run("echo why >&2; exit 3", **on_job(share))
    assert (job.execution_state, job.execution_info.exit_code) == ("failed", 3)
    assert job.execution_info.errors[0].code == "JobFailed"
    assert output(share, job, "stdouterr/stderr.txt") == b"why\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"key": "d3Jvbmc="}, "check credentials.accountKey"),
        ({"name": "missing"}, "'missing' of account .* create it"),
        ({"endpoint": "http://127.0.0.1:9/other"}, "cannot be reached"),
    ],
)
def test_a_job_whose_volume_cannot_be_copied_fails_with_what_to_do(lab, share, changes, hint):
    """Its command never runs, and the node is free again."""
    key = changes.pop("key", None)
    for name, value in changes.items():
        setattr(share, name, value)
    share.account = share.account if "endpoint" not in changes else "other"
    lab.cluster()
    job = lab.run("echo never", **on_job(share, key=key))
    assert (job.execution_state, job.execution_info.exit_code) == ("failed", None)
    (error,) = job.execution_info.errors
    assert error.code == "ShareMountFailed"
    assert re.search(hint, error.message)
    assert "d3Jvbmc=" not in error.message
    counts = lab.connection.batchai.clusters.get(*lab.names, "cluster").node_state_counts
    assert counts.idle_node_count == 1


def test_what_cannot_be_copied_back_fails_the_job_and_is_kept(lab, share, service):
    """Whoever waits for success finds the outputs; whoever does not is told where they are."""
    lab.cluster()
    job = lab.run(f"echo x > {ROOT}/vol/a:b; echo y > {ROOT}/vol/fine", **on_job(share))
    (error,) = job.execution_info.errors
    assert (job.execution_state, error.code) == ("failed", "CopyBackFailed")
    assert "Azure Files allows no name like 'a:b'" in error.message
    assert share.get("fine") == b"y\n"
    (kept,) = service.state_dir.glob("volumes/*/*/data/a:b")
    assert str(kept.parent) in error.message
    lab.connection.batchai.jobs.begin_delete(*lab.names, "exp", "job").result()
    until(lambda: not kept.exists())


@pytest.mark.slow
def test_the_volumes_of_a_cluster_are_there_for_its_setup_task_and_its_jobs(lab, end):
    """Each job sees what was staged meanwhile and what the jobs before it wrote."""
    end.put("in.txt", b"first")
    task = models.SetupTask(
        command_line="cat $AZ_BATCHAI_MOUNT_ROOT/vol/in.txt",
        std_out_err_path_prefix="$AZ_BATCHAI_MOUNT_ROOT/vol",
    )
    cluster = lab.cluster(setup_task=task, **volume(end))
    suffix = cluster.node_setup.setup_task.std_out_err_path_suffix
    (said,) = [name for name in end.names() if name.startswith(suffix) and "stdout" in name]
    assert end.get(said) == b"first"
    end.put("in.txt", b"second")
    one = lab.run(f"cat {ROOT}/vol/in.txt; echo made > {ROOT}/vol/made", name="one")
    two = lab.run(f"cat {ROOT}/vol/made", name="two")
    assert output(end, one, "stdouterr/stdout.txt") == b"second"
    assert output(end, two, "stdouterr/stdout.txt") == b"made\n"


def test_a_cluster_whose_volume_cannot_be_copied_has_unusable_nodes(lab, share):
    """With what is wrong as the cluster's error."""
    cluster = lab.cluster(**volume(share, key="d3Jvbmc="))
    assert cluster.node_state_counts.unusable_node_count == 1
    (error,) = cluster.errors
    assert error.code == "ShareMountFailed"
    assert "check credentials.accountKey" in error.message


def test_a_container_mounted_read_only_stays_as_it_is(lab, container, share):
    """What a job writes there, if it can at all, goes nowhere."""
    container.put("in.txt", b"x")
    lab.cluster()
    options = volume(container, at="ro", mount_options="-o ro --log-level=x") | volume(share)
    command = f"cat {ROOT}/ro/in.txt; echo y > {ROOT}/ro/new; echo z > {ROOT}/ro/in.txt; true"
    job = lab.run(command, mount_volumes=models.MountVolumes(**options))
    assert job.execution_state == "succeeded"
    assert output(share, job, "stdouterr/stdout.txt") == b"x"
    assert container.names() == {"in.txt"}
    assert container.get("in.txt") == b"x"
    log = output(share, job, "stdouterr/execution.log").decode()
    assert "the mount option '--log-level=x' has no meaning here" in log


def test_file_servers_and_directories_of_the_machine_are_mounted(lab, tmp_path):
    """What a job writes there is there for the next one, and for whoever looks."""
    servers = lab.connection.batchai.file_servers
    parameters = {
        "vm_size": "STANDARD_D1",
        "ssh_configuration": models.SshConfiguration(
            user_account_settings=models.UserAccountSettings(
                admin_user_name="demo", admin_user_password="pass-word"
            )
        ),
        "data_disks": models.DataDisks(
            disk_size_in_gb=1, disk_count=1, storage_account_type="Standard_LRS"
        ),
    }
    servers.begin_create(
        *lab.names, "server", models.FileServerCreateParameters(**parameters)
    ).result()
    (server,) = servers.list_by_workspace(*lab.names)
    disk = Path(server.mount_settings.mount_point)
    (disk / "data").mkdir()
    lab.cluster(
        file_servers=[
            models.FileServerReference(
                file_server=models.ResourceId(id=server.id),
                source_directory="data",
                relative_mount_path="vol",
            )
        ],
        unmanaged_file_systems=[
            models.UnmanagedFileSystemReference(
                mount_command=f"mount --bind {tmp_path}", relative_mount_path="local"
            )
        ],
    )
    reference = models.FileServerReference(
        file_server=models.ResourceId(id=server.id), relative_mount_path="ro", mount_options="ro"
    )
    root = "$AZ_BATCHAI_MOUNT_ROOT"
    job = lab.run(
        f"echo 1 > {root}/vol/one; echo 2 > {root}/local/two; touch {ROOT}/ro/new && exit 9; true",
        std_out_err_path_prefix=f"{root}/vol",
        mount_volumes=models.MountVolumes(file_servers=[reference]),
    )
    assert job.execution_info.errors is None
    assert [path.name for path in disk.iterdir()] == ["data"]
    assert (disk / "data" / "one").read_text() == "1\n"
    assert (tmp_path / "two").read_text() == "2\n"


@pytest.mark.slow
def test_the_service_may_be_killed_while_a_job_writes(share, tmp_path):
    """What it wrote is copied back all the same, and the next service sees it through."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    state = tmp_path / "state"
    connection = Connection.embedded(state)
    lab = Lab(connection, "workspace")
    lab.cluster()
    command = f"echo begun; read x < {gate}; echo $x > {ROOT}/vol/result; echo ended"
    lab.submit(command, **on_job(share))
    job = lab.job()
    until(lambda: output(share, job, "stdouterr/stdout.txt") == b"begun\n")
    os.kill(service_pid(state), signal.SIGKILL)
    connection.close()
    gate.write_text("done\n")
    until(lambda: share.get("result") == b"done\n")
    with Connection.embedded(state) as again:
        lab.connection = again
        assert lab.ended().execution_state == "succeeded"
        assert output(share, job, "stdouterr/stdout.txt") == b"begun\nended\n"


def service_pid(state):
    """Return the process of the service of a state directory."""
    return ServiceAddress.from_file(state / "service.json").pid
