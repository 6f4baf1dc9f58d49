"""Jobs of every toolkit, with real processes on the nodes of an embedded service."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from attrs import evolve

from batchai_recipes import (
    Caffe2JobBuilder,
    CaffeJobBuilder,
    ChainerJobBuilder,
    ClusterBuilder,
    CntkJobBuilder,
    Connection,
    CustomJobBuilder,
    CustomMpiJobBuilder,
    FileShareStaging,
    HorovodJobBuilder,
    JobFailedError,
    PyTorchJobBuilder,
    TensorFlowJobBuilder,
    TrainingSession,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
NODES = 2


class Bench:
    """A session on a cluster of two nodes, and a share with programs."""

    def __init__(self, session, staging, folder):
        self.session = session
        self.staging = staging
        self.folder = folder
        self.runs = []

    def submit(self, job):
        """Submit a job that ends with the test at the latest."""
        run = self.session.submit(job)
        self.runs.append(run)
        return run

    def program(self, name, text):
        """Put a program into the share while the session runs, and return its path on a node."""
        (self.folder / name).write_text(text)
        return f"$AZ_BATCHAI_MOUNT_ROOT/share/code/{name}"

    def logs(self, run, name="stdout", directory="stdouterr"):
        """Return what a job's processes wrote, by the name of the file."""
        files = run.outputs(directory)
        return {
            file.path: (files.read(file.url, 0) or b"").decode()
            for file in files.files()
            if file.path.startswith(name)
        }


@pytest.fixture
def bench(shared_bench):
    """The shared session; what a failed test left running does not keep its nodes from the next."""
    yield shared_bench
    while shared_bench.runs:
        shared_bench.runs.pop().terminate()


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory):
    """A running session with two nodes, shared by the tests of this module."""
    state_dir = tmp_path_factory.mktemp("toolkits")
    staging = FileShareStaging("data").directory("code")
    cluster = ClusterBuilder("c").vm_size("STANDARD_D1").nodes(NODES).mount(staging, at="share")
    with (
        Connection.embedded(state_dir) as connection,
        TrainingSession(cluster, staging=staging, connection=connection) as session,
    ):
        (folder,) = state_dir.glob("shares/*/data/code")
        yield Bench(session, staging, folder)


class TestPyTorch:
    """One process for each rank."""

    @pytest.mark.slow
    def test_two_nodes_train_one_model(self, environment, tmp_path, nothing_left):
        """The example: gradients meet over gloo, so both ranks find the line."""
        pytest.importorskip("torch")
        done = subprocess.run(
            [sys.executable, EXAMPLES / "pytorch_two_nodes.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        for rank in (0, 1):
            assert f"[{rank}] rank {rank} of 2" in done.stdout
            assert f"[{rank}] y = 3.00 x + 1.00" in done.stdout
        assert (tmp_path / "models" / "line.pt").stat().st_size
        nothing_left()

    def test_the_first_rank_that_fails_ends_the_job(self, bench):
        """With its exit code and its standard error, though the others would go on for ever."""
        script = bench.program(
            "fails.py",
            "import os, sys, time\n"
            "if os.environ['RANK'] == '1':\n"
            "    sys.exit('no luck')\n"
            "while True: time.sleep(1)\n",
        )
        run = bench.submit(PyTorchJobBuilder("fails").script(script).nodes(NODES))
        with pytest.raises(JobFailedError, match=r"The job's rank 1 failed") as raised:
            run.wait()
        assert (raised.value.exit_code, raised.value.stderr_tail) == (1, "no luck\n")

    def test_files_are_named_by_rank_and_node(self, bench):
        """Preparation runs on each node; the first process's log is what is streamed."""
        script = bench.program("said.py", "import os; print('rank', os.environ['RANK'])")
        job = PyTorchJobBuilder("named").script(script).nodes(NODES).processes(3)
        run = bench.submit(job.job_preparation("echo ready"))
        assert list(run.stream()) == ["rank 0"]
        run.wait()
        logs = bench.logs(run)
        prepared = {name: text for name, text in logs.items() if "job_prep" in name}
        assert list(prepared.values()) == ["ready\n"] * NODES
        assert all(re.fullmatch(r"stdout-job_prep-tvm.*\.txt", name) for name in prepared), prepared
        assert {f"stdout-{rank}.txt": f"rank {rank}\n" for rank in range(3)}.items() <= logs.items()
        executed = bench.logs(run, "execution")
        assert len(executed) == NODES
        assert "rank 0: ended with exit code 0" in executed["execution.log"]


# Says what a process finds, in one line of JSON.
REPORT = """
import json, os, sys
found = {**os.environ, "argv": sys.argv[1:], "cwd": os.getcwd()}
os.write(1, json.dumps(found).encode() + b"\\n")
"""

EVERY_PROCESS = (
    *("MOUNT_ROOT", "JOB_MOUNT_ROOT", "INPUT_CODE", "OUTPUT_MODEL", "STDOUTERR_DIR", "JOB_TEMP"),
    *("JOB_TEMP_DIR", "SHARED_JOB_TEMP", "MPI_HOST_FILE", "MPI_MASTER_NODE", "NUM_GPUS"),
    *("NUM_GPUS_PER_NODE", "TASK_INDEX"),
)


def check_every_variable(found, node_count=NODES):
    """Check what every process of every job finds, and that the directories are there."""
    variables = {name: found[f"AZ_BATCHAI_{name}"] for name in EVERY_PROCESS}
    assert len(found["AZ_BATCH_HOST_LIST"].split(",")) == node_count
    assert found["AZ_BATCH_MASTER_NODE"] == variables["MPI_MASTER_NODE"]
    assert variables["MPI_MASTER_NODE"] == found["AZ_BATCH_HOST_LIST"].split(",")[0]
    assert found["cwd"] == variables["JOB_TEMP"]
    assert variables["OUTPUT_MODEL"].endswith("/outputs/Models")
    assert found["argv"] == [variables["INPUT_CODE"], variables["OUTPUT_MODEL"]]
    assert found["MINE"] == f"{variables['SHARED_JOB_TEMP']}/mine"
    assert found["TOKEN"] == "a $b c"


def reporting(bench, job):
    """Give a job what the checks look for."""
    return (
        job.nodes(NODES)
        .input("CODE", bench.staging.mounted("code"))
        .output("MODEL", suffix="Models")
        .environment_variable("MINE", "$AZ_BATCHAI_SHARED_JOB_TEMP/mine")
        .secret("TOKEN", "a $b c")
    )


ARGUMENTS = ("$AZ_BATCHAI_INPUT_CODE", "$AZ_BATCHAI_OUTPUT_MODEL")
MPI_PROGRAM = """
import ctypes, json, os, sys
lib = ctypes.CDLL("libmpi.so.40", mode=ctypes.RTLD_GLOBAL)
symbol = lambda name: ctypes.c_void_p(ctypes.addressof(ctypes.c_char.in_dll(lib, name)))
world = symbol("ompi_mpi_comm_world")
rank, size, total = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
lib.MPI_Init(None, None)
lib.MPI_Comm_rank(world, ctypes.byref(rank))
lib.MPI_Comm_size(world, ctypes.byref(size))
lib.MPI_Allreduce(
    ctypes.byref(ctypes.c_int(rank.value + 1)), ctypes.byref(total), 1,
    symbol("ompi_mpi_int"), symbol("ompi_mpi_op_sum"), world,
)
lib.MPI_Finalize()
found = {**os.environ, "argv": sys.argv[1:], "cwd": os.getcwd()}
found.update(rank=rank.value, size=size.value, total=total.value)
# Not on standard output, where mpirun mixes long lines of different ranks.
with open(f"{os.environ['AZ_BATCHAI_OUTPUT_MODEL']}/{rank.value}.json", "w") as file:
    json.dump(found, file)
"""
needs_mpi = pytest.mark.skipif(
    shutil.which("mpirun") is None, reason="mpirun is missing: install openmpi-bin"
)


def command_line(process):
    """Return the command line of a process, or nothing where it is gone."""
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


@needs_mpi
class TestMpi:
    """Ranks that meet through Open MPI itself."""

    @pytest.fixture
    def script(self, bench):
        """A program that asks MPI for its rank and the number of ranks, and adds up over all."""
        return bench.program("ranks.py", MPI_PROGRAM)

    @pytest.mark.parametrize(
        "builder",
        [CntkJobBuilder, ChainerJobBuilder, HorovodJobBuilder, CaffeJobBuilder],
        ids=lambda builder: builder.__name__,
    )
    def test_ranks_of_a_script(self, bench, script, builder):
        """Three on two nodes: two on the first, one on the second, each with its node's folder."""
        job = builder(builder.__name__).script(script).args(*ARGUMENTS).processes(3)
        self.check(bench, reporting(bench, job))

    def test_ranks_of_a_command_line(self, bench, script):
        """Which a shell of each rank takes apart."""
        job = CustomMpiJobBuilder("custommpi").processes(3)
        words = " ".join([sys.executable, script, *(f'"{word}"' for word in ARGUMENTS)])
        self.check(bench, reporting(bench, job.command_line(f"true && {words}")))

    def test_ranks_of_pytorch(self, bench, script):
        """With the backend mpi; they find what torchrun sets, too."""
        job = PyTorchJobBuilder("mpi").script(script).args(*ARGUMENTS).processes(3)
        for found in self.check(bench, reporting(bench, job.communication_backend("mpi"))):
            assert (found["RANK"], found["WORLD_SIZE"]) == (str(found["rank"]), "3")

    def check(self, bench, job):
        """Run a job of three ranks and check what they found."""
        run = bench.submit(job).wait()
        found = [json.loads(text) for _, text in sorted(bench.logs(run, "", "MODEL").items())]
        assert [(one["rank"], one["size"], one["total"]) for one in found] == [
            (0, 3, 6),
            (1, 3, 6),
            (2, 3, 6),
        ]
        for one in found:
            check_every_variable(one)
        assert [one["AZ_BATCHAI_TASK_INDEX"] for one in found] == ["0", "1", "2"]
        first, second, third = (one["AZ_BATCHAI_JOB_TEMP"] for one in found)
        assert first == second != third
        return found

    def test_the_exit_code_of_a_rank_is_the_jobs(self, bench):
        """The others are ended."""
        command = "if [ $AZ_BATCHAI_TASK_INDEX = 1 ]; then exit 7; fi; sleep 1000"
        job = CustomMpiJobBuilder("seven").nodes(NODES).command_line(command)
        with pytest.raises(JobFailedError) as raised:
            bench.submit(job).wait()
        assert raised.value.exit_code == 7

    def test_terminating_ends_all_ranks(self, bench):
        """Nothing of them is left."""
        script = bench.program(
            "sleeps.py", "import os, time; os.write(1, b'up\\n'); time.sleep(1000)"
        )
        run = bench.submit(HorovodJobBuilder("sleeps").script(script).nodes(NODES))
        lines = run.stream()
        assert [next(lines), next(lines)] == ["up", "up"]
        run.terminate()
        with pytest.raises(JobFailedError, match="JobTerminated"):
            run.wait()
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
        assert "sleeps.py" not in listed.stdout

    def test_a_killed_mpirun_leaves_nothing(self, bench):
        """Neither ranks nor their shared memory, and the job has failed."""
        waits = MPI_PROGRAM.replace(
            "lib.MPI_Finalize()", "os.write(1, b'up\\n'); import time; time.sleep(1000)"
        )
        script = bench.program("waits.py", waits)
        job = HorovodJobBuilder("killed").script(script).nodes(NODES).output("MODEL")
        run = bench.submit(job)
        lines = run.stream()
        assert [next(lines), next(lines)] == ["up", "up"]
        processes = [
            folder for folder in Path("/proc").glob("[0-9]*") if "waits.py" in command_line(folder)
        ]
        (launcher,) = (one for one in processes if command_line(one).startswith("mpirun "))
        maps = "".join((one / "maps").read_text() for one in processes)
        segments = {Path(path) for path in re.findall(r"/\S*/vader_segment\S+", maps)}
        assert len(segments) == NODES
        os.kill(int(launcher.name), signal.SIGKILL)
        with pytest.raises(JobFailedError, match="exit code 137"):
            run.wait()
        assert not any(one.exists() for one in processes)
        patience = time.monotonic() + 30  # the job's folder goes after its state has been told
        while any(segment.exists() for segment in segments):
            assert time.monotonic() < patience
            time.sleep(0.02)

    def test_a_missing_launcher_says_what_to_install(self, bench):
        """In the job's error, on standard error and in the execution log."""
        python = Path(sys.executable).parent
        job = CustomMpiJobBuilder("nompi").command_line("true")
        # A PATH with a shell's programs and without mpirun.
        tools = bench.folder / "bin"
        tools.mkdir()
        for name in ("date", "id", "nproc", "tee"):
            (tools / name).symlink_to(shutil.which(name))
        job = job.environment_variable("PATH", f"{tools}:{python}")
        run = bench.submit(job)
        with pytest.raises(JobFailedError, match="openmpi-bin") as raised:
            run.wait()
        assert "install Open MPI" in raised.value.stderr_tail
        assert "install Open MPI" in bench.logs(run, "execution")["execution.log"]


class TestTensorFlow:
    """A master, workers and parameter servers."""

    def test_every_role_sees_the_cluster(self, bench):
        """And the job ends with its master, though parameter servers would serve for ever."""
        script = bench.program(
            "roles.py",
            REPORT + "import pathlib, time\n"
            "here = pathlib.Path(os.environ['AZ_BATCHAI_SHARED_JOB_TEMP'])\n"
            "kind = json.loads(os.environ['TF_CONFIG'])['task']['type']\n"
            "(here / f\"{kind}-{os.environ['AZ_BATCHAI_TASK_INDEX']}\").touch()\n"
            "while kind != 'master' or len(list(here.iterdir())) < 4: time.sleep(0.02)\n",
        )
        job = (
            TensorFlowJobBuilder("roles")
            .script(script)
            .master_args(*ARGUMENTS)
            .worker_args(*ARGUMENTS)
            .parameter_server_args(*ARGUMENTS)
            .workers(3)
            .parameter_servers(1)
        )
        run = bench.submit(reporting(bench, job)).wait()
        logs = bench.logs(run)
        roles = {
            "stdout-wk-0.txt": ("master", 0, "0"),
            "stdout-wk-1.txt": ("worker", 0, "1"),
            "stdout-wk-2.txt": ("worker", 1, "2"),
            "stdout-ps-0.txt": ("ps", 0, "0"),
        }
        assert set(logs) == set(roles)
        found = {name: json.loads(text.splitlines()[0]) for name, text in logs.items()}
        clusters = set()
        for name, (kind, index, task_index) in roles.items():
            one = found[name]
            check_every_variable(one)
            config = json.loads(one["TF_CONFIG"])
            assert config["task"] == {"type": kind, "index": index}
            assert one["AZ_BATCHAI_TASK_INDEX"] == task_index
            cluster = config["cluster"]
            workers = ",".join([*cluster["master"], *cluster["worker"]])
            assert one["AZ_BATCHAI_WORKER_HOSTS"] == workers
            assert one["AZ_BATCHAI_PS_HOSTS"] == ",".join(cluster["ps"])
            clusters.add(json.dumps(cluster))
        assert len(clusters) == 1
        hosts = [host for group in json.loads(clusters.pop()).values() for host in group]
        assert len(set(hosts)) == 4


class TestCaffe2:
    """One process on each node."""

    def test_each_node_has_a_shard(self, bench):
        """They see each other in the shared folder."""
        script = bench.program("shards.py", REPORT)
        job = Caffe2JobBuilder("shards").script(script).args(*ARGUMENTS)
        run = bench.submit(reporting(bench, job)).wait()
        logs = bench.logs(run)
        found = [json.loads(logs[f"stdout-{index}.txt"]) for index in range(NODES)]
        for one in found:
            check_every_variable(one)
        assert [one["AZ_BATCHAI_TASK_INDEX"] for one in found] == ["0", "1"]
        assert len({one["AZ_BATCHAI_JOB_TEMP"] for one in found}) == NODES
        assert len({one["AZ_BATCHAI_SHARED_JOB_TEMP"] for one in found}) == 1


class TestPrograms:
    """Toolkits that run a program of their own, played by a stand-in on the PATH."""

    @pytest.mark.parametrize(
        ("job", "told"),
        [
            (
                CntkJobBuilder("brainscript").config_file("$AZ_BATCHAI_INPUT_CODE/a.cntk"),
                "cntk configFile={code}/a.cntk makeMode=false",
            ),
            (
                CaffeJobBuilder("solver").config_file("$AZ_BATCHAI_INPUT_CODE/a.prototxt"),
                "caffe train --solver={code}/a.prototxt makeMode=false",
            ),
        ],
        ids=["cntk", "caffe"],
    )
    @pytest.mark.parametrize("processes", [1, pytest.param(2, marks=needs_mpi)])
    def test_it_is_given_its_configuration(self, bench, job, told, processes):
        """In one process, or in each rank."""
        tools = bench.folder / "programs"
        tools.mkdir(exist_ok=True)
        for name in ("cntk", "caffe"):
            (tools / name).write_text('#!/bin/sh\necho "$(basename "$0") $*"\n')
            (tools / name).chmod(0o755)
        job = (
            reporting(bench, evolve(job, name=f"{job.name}{processes}"))
            .args("makeMode=false")
            .processes(processes)
            .environment_variable("PATH", "$AZ_BATCHAI_INPUT_CODE/programs:$PATH")
        )
        run = bench.submit(job).wait()
        lines = bench.logs(run)["stdout.txt"].splitlines()
        codes = [line.partition("=")[2].partition("/a.")[0] for line in lines]
        assert lines == [told.format(code=code) for code in codes]
        assert len(lines) == processes

    def test_a_custom_command_runs_on_the_master(self, bench):
        """Once, whatever the number of nodes; its mpirun finds all slots of the host file."""
        words = " ".join(f'"{word}"' for word in ARGUMENTS)
        script = bench.program("custom.py", REPORT)
        job = CustomJobBuilder("custom").command_line(f'"{sys.executable}" {script} {words}')
        run = bench.submit(reporting(bench, job)).wait()
        (found,) = map(json.loads, bench.logs(run)["stdout.txt"].splitlines())
        check_every_variable(found)

    @needs_mpi
    def test_a_users_own_mpirun_takes_the_host_file(self, bench):
        """As Batch AI's recipes call it in a custom command."""
        command = "mpirun --hostfile $AZ_BATCHAI_MPI_HOST_FILE -np 2 echo here"
        run = bench.submit(CustomJobBuilder("own").nodes(NODES).command_line(command))
        assert list(run.stream()) == ["here", "here"]
        run.wait()
