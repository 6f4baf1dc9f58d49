"""Sessions that are killed, and `batchai-recipes reap`."""

import json

import pytest

from batchai_recipes import ClusterBuilder, Connection, TrainingSession

PROGRAM = """
import sys
from batchai_recipes import *

step = sys.argv[1]

def report(line):
    print(line, flush=True)
    if line.startswith(step):
        sys.stdin.read()  # the test kills this process here

staging = FileShareStaging("data").upload("train.py")
cluster = ClusterBuilder("c").vm_size("STANDARD_D1").mount(staging, at="share")
job = CntkJobBuilder("j").script("$AZ_BATCHAI_MOUNT_ROOT/share/train.py")
with TrainingSession(cluster, staging=staging, report=report) as session:
    for line in session.submit(job).stream():
        report(line)
"""


@pytest.mark.parametrize(
    "step",
    [
        "Created resource group",
        "Created file share",
        "Uploaded",
        "Created workspace",
        "Created cluster",
        "Created experiment",
        "Created job",
        "up",
    ],
)
def test_a_session_killed_at_any_step_is_reaped(killed, command, nothing_left, step):
    """Nothing is left, and a second reap finds nothing."""
    killed(step)
    first, second = command("reap"), command("reap")

    assert (first.returncode, first.stderr) == (0, "")
    assert "gone) left: " in first.stdout
    assert second.stdout == "No session has left anything\n"
    nothing_left()


def test_a_dry_run_deletes_nothing(killed, command, nothing_left):
    """It says what would be deleted."""
    killed("Created file share")
    dry = command("reap", "--dry-run")

    assert dry.returncode == 0
    assert "file share data" in dry.stdout
    assert "Deleting" not in dry.stdout
    done = json.loads(command("reap", "--json").stdout)
    assert (done["sessions"], "Deleting file share data" in done["report"]) == (1, True)
    nothing_left()


def test_a_live_session_is_left_alone(killed, command, state_dir):
    """Only what the dead one made is deleted."""
    killed("Created experiment")
    cluster = ClusterBuilder("mine").vm_size("STANDARD_D1")
    with (
        Connection.embedded(state_dir) as connection,
        TrainingSession(cluster, connection=connection) as session,
    ):
        done = command("reap")

        assert done.returncode == 0, done.stderr
        assert "mine" not in done.stdout
        assert session.cluster_state().idle == 1


def test_a_session_on_another_endpoint_is_named(killed, command, environment, state_dir):
    """With what to set; its journal stays."""
    killed("Created workspace")
    (journal,) = (state_dir / "sessions").glob("*.jsonl")
    lines = journal.read_text().replace(f'"{state_dir}"', "null")
    journal.write_text(lines)
    done = command("reap")

    assert done.returncode == 4
    assert "set BATCHAI_ENDPOINT" in done.stderr
    assert "Traceback" not in done.stderr
    assert journal.exists()
