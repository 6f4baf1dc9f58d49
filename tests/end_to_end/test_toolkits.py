"""Jobs of every toolkit, with real processes on the nodes of an embedded service."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from batchai_recipes import (
    ClusterBuilder,
    Connection,
    FileShareStaging,
    JobFailedError,
    PyTorchJobBuilder,
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

    def program(self, name, text):
        """Put a program into the share while the session runs, and return its path on a node."""
        (self.folder / name).write_text(text)
        return f"$AZ_BATCHAI_MOUNT_ROOT/share/code/{name}"

    def logs(self, run, name="stdout"):
        """Return what a job's processes wrote, by the name of the file."""
        files = run.outputs("stdouterr")
        return {
            file.path: (files.read(file.url, 0) or b"").decode()
            for file in files.files()
            if file.path.startswith(name)
        }


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
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
        run = bench.session.submit(PyTorchJobBuilder("fails").script(script).nodes(NODES))
        with pytest.raises(JobFailedError, match=r"The job's rank 1 failed") as raised:
            run.wait()
        assert (raised.value.exit_code, raised.value.stderr_tail) == (1, "no luck\n")

    def test_files_are_named_by_rank_and_node(self, bench):
        """Preparation runs on each node; the first process's log is what is streamed."""
        script = bench.program("said.py", "import os; print('rank', os.environ['RANK'])")
        job = PyTorchJobBuilder("named").script(script).nodes(NODES).processes(3)
        run = bench.session.submit(job.job_preparation("echo ready"))
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
