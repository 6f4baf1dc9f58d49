"""A session with two nodes on which jobs of every toolkit run, and what their processes find."""

import shutil

import pytest

NODES = 2


needs_mpi = pytest.mark.skipif(
    shutil.which("mpirun") is None, reason="mpirun is missing: install openmpi-bin"
)


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
