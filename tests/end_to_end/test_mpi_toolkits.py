"""Jobs whose ranks meet through Open MPI itself, on the nodes of an embedded service."""

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
from toolkit_bench import ARGUMENTS, NODES, check_every_variable, needs_mpi, reporting

from batchai_recipes import (
    CaffeJobBuilder,
    ChainerJobBuilder,
    CntkJobBuilder,
    CustomMpiJobBuilder,
    HorovodJobBuilder,
    JobFailedError,
    PyTorchJobBuilder,
)

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
