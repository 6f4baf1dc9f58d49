"""Jobs on a Ray cluster, with no change to the programs that submit them."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from batchai_recipes import (
    ClusterBuilder,
    CustomJobBuilder,
    FileShareStaging,
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
    source = tmp_path / "numbers.bin"
    source.write_bytes(bytes(range(256)) * 40_000)
    script = """
set -e
cd $AZ_BATCHAI_OUTPUT_MODEL
cmp $AZ_BATCHAI_INPUT_IN/numbers.bin $AZ_BATCHAI_INPUT_IN/numbers.bin
cat $AZ_BATCHAI_INPUT_IN/numbers.bin $AZ_BATCHAI_INPUT_IN/numbers.bin > twice.bin
echo first > changed.txt; sleep 1.5; echo other > changed.txt
mkdir -p deep/er; : > deep/er/empty; mv changed.txt final.txt
echo "on $(cat /proc/self/cgroup | wc -l)" > gone.txt; sleep 0.7; rm gone.txt
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
        run.wait()
        run.outputs("MODEL").download(tmp_path / "out")

    out = tmp_path / "out"
    found = {str(p.relative_to(out)): p for p in out.rglob("*") if p.is_file()}
    assert set(found) == {"twice.bin", "final.txt", "deep/er/empty"}
    assert found["twice.bin"].read_bytes() == source.read_bytes() * 2
    assert found["final.txt"].read_text() == "other\n"


def test_lines_are_streamed_while_the_job_runs(service, tmp_path, staging):
    """Each within two seconds of being written, at most; here the job waits to be told."""
    source = tmp_path / "x"
    source.write_text("x")
    staging = staging.upload(source)
    cluster = _cluster().mount(staging, at="share")
    lines = 8
    job = CustomJobBuilder("job").command_line(
        f"bash -c 'for i in $(seq {lines}); do date +%s.%N; sleep 0.4; done'"
    )
    with (
        service.connection() as connection,
        TrainingSession(cluster, staging=staging, connection=connection) as session,
    ):
        run = session.submit(job)
        late = [time.time() - float(line) for line in run.stream("stdout.txt")]
        run.wait()

    assert len(late) == lines
    # All but the last ones were there before the job had ended.
    assert sum(delay < 0.4 * lines for delay in late) >= lines - 2


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
