"""Jobs on a Ray cluster, with no change to the programs that submit them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ray_client import wait_until

from batchai_recipes import (
    ClusterBuilder,
    ClusterError,
    CustomJobBuilder,
    FileShareStaging,
    PyTorchJobBuilder,
    TrainingSession,
)

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[4] / "examples"


@pytest.fixture
def staging():
    """A share with a file."""
    return FileShareStaging("data").directory("in")


def _cluster():
    return ClusterBuilder("c").vm_size("STANDARD_D1").admin_user("demo", password="passw0rd")


def test_a_job_reads_and_writes_its_share(service, tmp_path, staging):
    """Inputs are there, outputs come back whole, the small, the large and the rewritten."""
    source, gate = tmp_path / "numbers.bin", tmp_path / "gate"
    source.write_bytes(bytes(range(256)) * 40_000)
    os.mkfifo(gate)
    script = f"""
set -e
cd $AZ_BATCHAI_OUTPUT_MODEL
cmp $AZ_BATCHAI_INPUT_IN/numbers.bin $AZ_BATCHAI_INPUT_IN/numbers.bin
cat $AZ_BATCHAI_INPUT_IN/numbers.bin $AZ_BATCHAI_INPUT_IN/numbers.bin > twice.bin
mkdir -p deep/er; : > deep/er/empty; echo here > gone.txt; echo first > changed.txt
read go < {gate}
echo other > changed.txt; mv changed.txt final.txt; rm gone.txt
"""
    staging = staging.upload(source)
    cluster = _cluster().mount(staging, at="share")
    job = (
        CustomJobBuilder("job")
        .input("IN", staging.mounted("in"))
        .output("MODEL")
        .command_line(f"bash -c '{script}'")
    )
    with (
        service.connection() as connection,
        TrainingSession(cluster, staging=staging, connection=connection) as session,
    ):
        run = session.submit(job)
        # What is written is there while the job runs, also what it changes and removes later.
        wait_until(lambda: _on_the_share(service, "changed.txt", "first\n"))
        wait_until(lambda: _on_the_share(service, "gone.txt", "here\n"))
        gate.write_text("go\n")
        run.wait()
        run.outputs("MODEL").download(tmp_path / "out")

    out = tmp_path / "out"
    found = {str(p.relative_to(out)): p for p in out.rglob("*") if p.is_file()}
    assert set(found) == {"twice.bin", "final.txt", "deep/er/empty"}
    assert found["twice.bin"].read_bytes() == source.read_bytes() * 2
    assert found["final.txt"].read_text() == "other\n"


def _on_the_share(service, name, text):
    """Whether a file of a share of the service says something."""
    shares = service.state / "shares"
    return any(path.read_text() == text for path in shares.rglob(name))


def test_lines_are_streamed_while_the_job_runs(service, tmp_path, staging):
    """Each of its processes writes a line and goes on only when that has arrived."""
    said = [f"{rank}-{line}" for line in (1, 2, 3) for rank in (0, 1)]
    for line in said:  # each has a gate of its own, which is opened when it has arrived
        os.mkfifo(tmp_path / line)
    command = (
        "for line in 1 2 3; do line=$AZ_BATCHAI_TASK_INDEX-$line; "
        f"echo $line; read go < {tmp_path}/$line; done"
    )
    source = tmp_path / "rank.sh"
    source.write_text(command)
    staging = staging.upload(source)
    cluster = _cluster().nodes(2).mount(staging, at="share")
    job = (
        PyTorchJobBuilder("job")
        .nodes(2)
        .input("IN", staging.mounted("in"))
        .python_interpreter("bash")
        .script("$AZ_BATCHAI_INPUT_IN/rank.sh")
        .communication_backend("gloo")
    )
    arrived = []
    with (
        service.connection() as connection,
        TrainingSession(cluster, staging=staging, connection=connection) as session,
    ):
        run = session.submit(job)
        for line in run.stream("stdout-*.txt"):
            arrived.append(line)
            (tmp_path / line.rpartition(" ")[2]).write_text("go\n")
        run.wait()

    assert sorted(arrived) == sorted(f"stdout-{line[0]}.txt: {line}" for line in said)


def test_a_failed_setup_task_tells_the_end_of_its_stderr(service, tmp_path, staging):
    """Also where that is on a machine that the service does not see, and without secrets."""
    source = tmp_path / "x"
    source.write_text("x")
    staging = staging.upload(source)
    cluster = (
        _cluster()
        .mount(staging, at="share")
        .setup_task("echo cannot log in with $TOKEN >&2; exit 3", secrets={"TOKEN": "hunter2"})
    )
    with (
        service.connection() as connection,
        pytest.raises(ClusterError, match=r"exit code 3(.|\n)*cannot log in with \*\*\*"),
        TrainingSession(cluster, staging=staging, connection=connection),
    ):
        pass


@pytest.mark.parametrize("service", [True], ids=["hidden"], indirect=True)
def test_pytorch_on_two_machines(service, environment, tmp_path):
    """The example, as it stands: ranks meet at the address of the first one's machine."""
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
