"""How the nodes of a cluster lie on Ray's machines: together, apart where possible, or apart."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from ray_client import WORKSPACE, Client, make_cluster, nodes_are_idle, nodes_in, wait_until

from batchai_recipes import (
    ClusterBuilder,
    CustomMpiJobBuilder,
    FileShareStaging,
    JobFailedError,
    PyTorchJobBuilder,
    TensorFlowJobBuilder,
    TrainingSession,
)

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[4] / "examples"
# Says what a process finds.
REPORT = """
import json, os, socket, sys
found = {**os.environ, "machine": socket.gethostname(), "cwd": os.getcwd()}
with open(os.environ["AZ_BATCHAI_MPI_HOST_FILE"]) as hosts:
    found["hosts"] = hosts.read()
name = f"{sys.argv[1]}-{os.environ['AZ_BATCHAI_TASK_INDEX']}.json"
with open(os.path.join(os.environ["AZ_BATCHAI_OUTPUT_SAID"], name), "w") as file:
    json.dump(found, file)
"""


@pytest.fixture(scope="module", params=[False, True], ids=["seen", "hidden"])
def service(request, run_service, ray_cluster, tmp_path_factory):
    """The service; tests leave nothing in it."""
    folder = ray_cluster.hidden if request.param else tmp_path_factory.mktemp("together")
    with (
        ray_cluster.entered(),
        run_service(folder / "together", ray_cluster, "--ray-strategy", "PACK") as service,
    ):
        service.is_hidden = request.param
        yield service


class TestTogether:
    """Nodes that share machines (``PACK``), which see the service's state, or do not."""

    def test_ranks_on_one_machine_meet(self, service, environment, tmp_path):
        """The example of two nodes, as it stands."""
        pytest.importorskip("torch")
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / "pytorch_two_nodes.py")],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), service.log()
        assert "Downloaded" in done.stdout

    def test_each_node_has_what_is_its_own(self, service, in_ray_cluster, tmp_path):
        """GPUs, folders and ports, though two are on one machine; to MPI they are one host."""
        with _session(service, tmp_path, _cluster(3, "STANDARD_NC12")) as (session, of):
            # Each machine has four GPUs, each node two.
            assert _nodes_by_machine(in_ray_cluster) == [2, 1, 0, 0]
            job = PyTorchJobBuilder("pytorch").nodes(3).script(SCRIPT).args("rank")
            ranks = _said(session, of(job.python_interpreter(sys.executable)), tmp_path / "ranks")
            job = TensorFlowJobBuilder("tf").nodes(3).script(SCRIPT).workers(3)
            job = job.python_interpreter(sys.executable).parameter_servers(2)
            job = job.master_args("master").worker_args("worker").parameter_server_args("ps")
            # The others may be ended before they have said anything, once the master has.
            master = _said(session, of(job), tmp_path / "master", "master-0.json")["master-0"]

        assert set(ranks) == {"rank-0", "rank-1", "rank-2"}
        gpus = sorted((rank["machine"], rank["CUDA_VISIBLE_DEVICES"]) for rank in ranks.values())
        assert [devices for _, devices in gpus] in (["0,1", "2,3", "0,1"], ["0,1", "0,1", "2,3"])
        assert len(set(gpus)) == 3
        # No driver knows of any here, so that PyTorch's ranks are to meet over gloo.
        assert {rank["AZ_BATCHAI_NUM_GPUS"] for rank in ranks.values()} == {"0"}
        for folder in ("cwd", "AZ_BATCHAI_JOB_TEMP", "AZ_BATCHAI_MOUNT_ROOT"):
            assert len({rank[folder] for rank in ranks.values()}) == 3
        assert len({rank["MASTER_ADDR"] for rank in ranks.values()}) == 1
        (hosts,) = {rank["hosts"] for rank in ranks.values()}
        assert sorted(line.partition(" ")[2] for line in hosts.splitlines()) == [
            "slots=1",
            "slots=2",
        ]
        places = master["AZ_BATCHAI_WORKER_HOSTS"].split(",")
        places += master["AZ_BATCHAI_PS_HOSTS"].split(",")
        assert len(set(places)) == len(places) == 5
        assert len({place.partition(":")[0] for place in places}) == 2

    def test_mpi_on_one_machine(self, service, in_ray_cluster, tmp_path):
        """Ranks have their own nodes' folders; where nodes have copies, that is refused."""
        with _session(service, tmp_path, _cluster(2)) as (session, of):
            assert _nodes_by_machine(in_ray_cluster) == [2, 0, 0, 0]
            job = of(CustomMpiJobBuilder("mpi").nodes(2).command_line(f"{PYTHON_SCRIPT} rank"))
            if service.is_hidden:
                with pytest.raises(JobFailedError, match="needs to see the service's state") as no:
                    session.submit(job).wait()
                assert "--ray-strategy STRICT_SPREAD" in str(no.value)
                return
            ranks = _said(session, job, tmp_path / "ranks")
        assert len({rank["AZ_BATCHAI_JOB_TEMP"] for rank in ranks.values()}) == 2
        assert [rank["cwd"] for rank in ranks.values()] == [
            rank["AZ_BATCHAI_JOB_TEMP"] for rank in ranks.values()
        ]


def test_apart_where_possible(new_service, in_ray_cluster):
    """With ``SPREAD``, each machine has a node before one has two."""
    with new_service("--ray-strategy", "SPREAD") as service:
        client = Client(service)
        make_cluster(client, 5)
        wait_until(lambda: nodes_are_idle(client, 5))
        assert _nodes_by_machine(in_ray_cluster) == [2, 1, 1, 1]
        client.ask("DELETE", "/resourceGroups/g")
        wait_until(lambda: not nodes_in(in_ray_cluster))


def test_apart_and_no_machine_is_left(new_service, in_ray_cluster):
    """With ``STRICT_SPREAD`` the fifth node waits, says what for, and is unusable in the end."""
    with new_service("--ray-patience", "PT12S") as service:
        client = Client(service)
        make_cluster(client, 5)
        wait_until(lambda: nodes_are_idle(client, 4))
        assert _nodes_by_machine(in_ray_cluster) == [1, 1, 1, 1]
        said = wait_until(lambda: [s for s in service.log().splitlines() if "waits for" in s])
        (said,) = [line for line in said if "4 have a node" in line] or said
        what_for = (
            "It asks for 1 CPU, 2.1 GiB of memory, on a machine without other nodes of its "
            "cluster; Ray's machines: 4 with 32 CPUs, 4 GPUs, 200.0 GiB of memory, of which 4 "
            "have a node of this cluster; free on all together: 124 CPUs, 16 GPUs, "
        )
        assert what_for in said
        (error,) = wait_until(lambda: _cluster_of(client).get("errors"))
        assert error["code"] == "NodePreparationFailed"
        assert f"Ray had no machine for it within 12 s. {what_for}" in error["message"]
        assert "pass --ray-strategy SPREAD or PACK" in error["message"]
        client.ask("DELETE", "/resourceGroups/g")
        wait_until(lambda: not nodes_in(in_ray_cluster))


SCRIPT = "$AZ_BATCHAI_INPUT_IN/report.py"
PYTHON_SCRIPT = f"{sys.executable} {SCRIPT}"


def _cluster_of(client):
    return client.ask("GET", f"{WORKSPACE}/clusters/c")["properties"]


def _nodes_by_machine(cluster):
    """How many nodes each machine has, the fullest first."""
    return sorted((len(m.processes("ray::NodeActor")) for m in cluster.machines), reverse=True)


def _cluster(nodes, vm_size="STANDARD_D1"):
    return ClusterBuilder("c").vm_size(vm_size).nodes(nodes).admin_user("demo", password="passw0rd")


@contextmanager
def _session(service, tmp_path, cluster):
    """A session on a cluster, and what gives a job the program and a place for what it says."""
    program = tmp_path / "report.py"
    program.write_text(REPORT)
    staging = FileShareStaging("data").directory("in").upload(program)

    def of(job):
        return job.input("IN", staging.mounted("in")).output("SAID")

    with (
        service.connection() as connection,
        TrainingSession(
            cluster.mount(staging, at="share"), staging=staging, connection=connection
        ) as session,
    ):
        yield session, of


def _said(session, job, folder, names="*.json"):
    run = session.submit(job)
    run.wait()
    run.outputs("SAID").download(folder)
    return {path.stem: json.loads(path.read_text()) for path in folder.rglob(names)}
