"""Jobs whose ranks ``mpirun`` starts on several machines of a Ray cluster, without ssh."""

import json
import os
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from batchai_recipes import (
    ClusterBuilder,
    CustomJobBuilder,
    CustomMpiJobBuilder,
    FileShareStaging,
    HorovodJobBuilder,
    JobFailedError,
    PyTorchJobBuilder,
    TrainingSession,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("mpirun") is None, reason="mpirun is missing: install openmpi-bin"
    ),
    pytest.mark.parametrize("service", [True], ids=["hidden"], indirect=True),
]
MACHINES = 4
PATIENCE_SECONDS = 60.0
# Each rank adds up the ranks of all; it writes what it knows of itself, and the sum to the share.
PROGRAM = """
import ctypes, json, os, socket, sys
lib = ctypes.CDLL("libmpi.so.40", mode=ctypes.RTLD_GLOBAL)

def handle(name):
    return ctypes.c_void_p(ctypes.addressof(ctypes.c_char.in_dll(lib, name)))

world, rank, size = handle("ompi_mpi_comm_world"), ctypes.c_int(), ctypes.c_int()
lib.MPI_Init(None, None)
lib.MPI_Comm_rank(world, ctypes.byref(rank))
lib.MPI_Comm_size(world, ctypes.byref(size))
mine, total = ctypes.c_double(rank.value), ctypes.c_double()
double, add = handle("ompi_mpi_double"), handle("ompi_mpi_op_sum")
lib.MPI_Allreduce(ctypes.byref(mine), ctypes.byref(total), 1, double, add, world)
lib.MPI_Finalize()
if "AZ_BATCHAI_OUTPUT_SUM" in os.environ:
    with open(os.path.join(os.environ["AZ_BATCHAI_OUTPUT_SUM"], f"{rank.value}.txt"), "w") as file:
        file.write(f"{total.value:g}" + chr(10))
names = ("AZ_BATCHAI_TASK_INDEX", "AZ_BATCHAI_JOB_TEMP", "RANK", "LOCAL_RANK", "SECRET", "MASTER")
found = {name: os.environ.get(name) for name in names}
found |= {"rank": rank.value, "size": size.value, "sum": total.value}
found |= {"machine": socket.gethostname(), "at": os.getcwd(), "arguments": sys.argv[1:]}
os.write(1, json.dumps(found).encode() + b"\\n")
"""


@contextmanager
def session_of(service, folder, nodes):
    """A session with a cluster and the program on a share that it mounts; and the share."""
    program = folder / "allreduce.py"
    program.write_text(PROGRAM)
    staging = FileShareStaging("data").directory("in").upload(program)
    cluster = (
        ClusterBuilder("c")
        .vm_size("STANDARD_D1")
        .nodes(nodes)
        .admin_user("demo", password="passw0rd")
        .mount(staging, at="share")
    )
    with (
        service.connection() as connection,
        TrainingSession(cluster, staging=staging, connection=connection) as session,
    ):
        yield session, staging


def lines_of(session, job):
    """Run a job and return what its ranks say, in their order."""
    run = session.submit(job)
    lines = [json.loads(line) for line in run.stream("stdout.txt")]
    run.wait()
    return run, sorted(lines, key=lambda line: line["rank"])


def test_ranks_work_together_over_all_machines(service, tmp_path):
    """Custom MPI, Horovod, PyTorch's mpi and a user's own mpirun, with what they write."""
    with session_of(service, tmp_path, MACHINES) as (session, staging):
        script = f"{sys.executable} $AZ_BATCHAI_INPUT_IN/allreduce.py"

        def of(job):
            return job.nodes(MACHINES).input("IN", staging.mounted("in"))

        job = of(CustomMpiJobBuilder("custom").command_line(f"{script} 'a b'")).output("SUM")
        job = job.processes(6).secret("SECRET", "hunter2")
        run, ranks = lines_of(session, job)
        assert [line["rank"] for line in ranks] == list(range(6))
        assert {line["sum"] for line in ranks} == {15.0}
        assert [line["AZ_BATCHAI_TASK_INDEX"] for line in ranks] == list("012345")
        machines = [line["machine"] for line in ranks]
        assert len(set(machines)) == MACHINES
        assert machines[0] == machines[1]
        assert machines[2] == machines[3]
        assert [line["at"] for line in ranks] == [line["AZ_BATCHAI_JOB_TEMP"] for line in ranks]
        assert all(line["SECRET"] == "hunter2" for line in ranks)
        assert all(line["arguments"] == ["a b"] for line in ranks)
        run.outputs("SUM").download(tmp_path / "sums")
        sums = {path.name: path.read_text() for path in (tmp_path / "sums").rglob("*.txt")}
        assert sums == {f"{rank}.txt": "15\n" for rank in range(6)}

        horovod = HorovodJobBuilder("horovod").script("$AZ_BATCHAI_INPUT_IN/allreduce.py")
        _, ranks = lines_of(session, of(horovod.python_interpreter(sys.executable)))
        assert [line["sum"] for line in ranks] == [6.0] * MACHINES
        assert len({line["machine"] for line in ranks}) == MACHINES

        pytorch = PyTorchJobBuilder("pytorch").script("$AZ_BATCHAI_INPUT_IN/allreduce.py")
        pytorch = pytorch.python_interpreter(sys.executable).communication_backend("mpi")
        _, ranks = lines_of(session, of(pytorch))
        assert [line["RANK"] for line in ranks] == list("0123")
        assert {line["LOCAL_RANK"] for line in ranks} == {"0"}

        own = f"mpirun -x MASTER --hostfile $AZ_BATCHAI_MPI_HOST_FILE -np {MACHINES} {script}"
        command = f"export MASTER=$(uname -n); {own}"
        _, ranks = lines_of(session, of(CustomJobBuilder("own").command_line(command)))
        assert [line["sum"] for line in ranks] == [6.0] * MACHINES
        assert ranks[0]["machine"] == ranks[0]["MASTER"]
        assert len({line["machine"] for line in ranks}) == MACHINES


def commands_on(cluster):
    """The words of the command of each process, by the machine that it is on and its id."""
    return {
        (machine.number, pid): words
        for machine in cluster.machines
        for pid in machine.all_processes()
        if (words := _words_of(pid))
    }


def _words_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def running(cluster, program):
    """The ids of the processes of a program, with their machines."""
    return [
        at
        for at, words in commands_on(cluster).items()
        if any(word.rpartition("/")[2] == program for word in words[:4])
    ]


def wait_until(holds):
    """Look at short, growing intervals."""
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, 0.02
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
    return found


@pytest.fixture(scope="module")
def three_nodes(service, tmp_path_factory):
    """A session with three nodes, which all that fails here leaves as they are."""
    with session_of(service, tmp_path_factory.mktemp("program"), 3) as (session, _):
        yield session


@pytest.mark.parametrize("victim", ["mpirun", "orted", "rank", "mpi_agent.py", "job"])
def test_nothing_stays_on_any_machine(three_nodes, in_ray_cluster, tmp_path, victim):
    """Whatever of a job is killed, or when the job is terminated."""
    rank = tmp_path / "a-rank-of-the-job"
    shutil.copy(shutil.which("sleep"), rank)
    name = f"without-{victim.partition('.')[0].replace('_', '-')}"
    job = CustomMpiJobBuilder(name).nodes(3).command_line(f"exec {rank} 1000")
    run = three_nodes.submit(job)
    wait_until(lambda: len(running(in_ray_cluster, rank.name)) == 3)
    daemons = running(in_ray_cluster, "orted")
    assert len(daemons) == 2
    if victim == "job":
        run.terminate()
    else:
        program = rank.name if victim == "rank" else victim
        # Of ranks, one that a daemon started.
        (pid, *_) = [
            pid
            for machine, pid in running(in_ray_cluster, program)
            if victim != "rank" or machine == daemons[0][0]
        ]
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(JobFailedError):
        run.wait()
    programs = (rank.name, "orted", "mpirun", "mpi_agent.py")
    wait_until(lambda: not any(running(in_ray_cluster, name) for name in programs))
