"""Everything local works without a network, as docs/test_offline.md says."""

import shutil
import subprocess
import sys

import pytest

NAMESPACE = ("unshare", "--map-root-user", "--net", "sh", "-c")
PROGRAM = """
from batchai_recipes import ClusterBuilder, CustomJobBuilder, FileShareStaging, TrainingSession

staging = FileShareStaging("offline")
cluster = ClusterBuilder("mycluster").vm_size("STANDARD_D1").mount(staging, at="share")
with TrainingSession(cluster, staging=staging) as session:
    print(*session.submit(CustomJobBuilder("myjob").command_line("echo hello")).stream())
"""


def permitted() -> bool:
    """Whether this machine has a network namespace for us."""
    if not shutil.which("unshare"):
        return False
    tried = subprocess.run(
        [*NAMESPACE, "ip link set lo up"], check=False, capture_output=True, timeout=60
    )
    return tried.returncode == 0


@pytest.mark.skipif(not permitted(), reason="no network namespace is permitted here")
def test_a_session_needs_no_network(environment, tmp_path, nothing_left):
    """But the loopback interface."""
    done = subprocess.run(
        [*NAMESPACE, f"ip link set lo up && exec {sys.executable} -c '{PROGRAM}'"],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")
    nothing_left()
