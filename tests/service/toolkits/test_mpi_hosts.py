"""Ranks on hosts that mpirun reaches through an agent, as engines of several machines have them."""

import json
import shutil
import subprocess
import sys

import pytest
from attrs import evolve

from batchai_recipes.service.toolkits.custom_mpi import custom_mpi

# Runs a command "on" a node: on this machine, with that node's variables, and with a folder of its
# own for Open MPI: two daemons of one host cannot make theirs at the same time.
AGENT = r"""#!/bin/bash
export NODE="$1"
shift
own="$AZ_BATCHAI_SHARED_JOB_TEMP/$NODE"
mkdir -p "$own"
command="$*"
exec bash -c "${command//"$AZ_BATCHAI_SHARED_JOB_TEMP\""/"$own\""}"
"""
PROGRAM = """
import ctypes, json, os
lib = ctypes.CDLL("libmpi.so.40", mode=ctypes.RTLD_GLOBAL)
world = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.in_dll(lib, "ompi_mpi_comm_world")))
rank, size = ctypes.c_int(), ctypes.c_int()
lib.MPI_Init(None, None)
lib.MPI_Comm_rank(world, ctypes.byref(rank))
lib.MPI_Comm_size(world, ctypes.byref(size))
lib.MPI_Barrier(world)
lib.MPI_Finalize()
found = [rank.value, size.value, os.environ["NODE"], os.environ["AZ_BATCHAI_JOB_TEMP"]]
os.write(1, json.dumps(found).encode() + b"\\n")
"""


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="mpirun is missing: install openmpi-bin")
def test_each_rank_runs_on_the_host_of_its_node(toolkit_job, tmp_path):
    """With real daemons of Open MPI: two hosts of this machine stand for two machines."""
    agent, program = tmp_path / "agent", tmp_path / "ranks.py"
    agent.write_text(AGENT)
    agent.chmod(0o755)
    program.write_text(PROGRAM)
    job = toolkit_job(nodes=2, processCount=3, commandLine=f"{sys.executable} {program}")
    nodes = [evolve(node, address=f"127.0.0.{2 + index}") for index, node in enumerate(job.nodes)]
    places = [tmp_path / "first", tmp_path / "second"]
    for place in places:
        place.mkdir()
    variables = tuple({"AZ_BATCHAI_JOB_TEMP": str(place)} for place in places)
    (process,) = custom_mpi(evolve(job, nodes=tuple(nodes), variables=variables))
    done = subprocess.run(
        ["bash", "-c", process.command_line],
        env={
            "PATH": "/usr/bin:/bin",
            "AZ_BATCHAI_STDOUTERR_DIR": str(tmp_path),
            "AZ_BATCHAI_JOB_TEMP": str(places[0]),
            "AZ_BATCHAI_SHARED_JOB_TEMP": str(tmp_path),
            "OMPI_MCA_plm_rsh_agent": str(agent),
            **process.environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(map(json.loads, done.stdout.splitlines())) == [
        [0, 3, "127.0.0.2", str(places[0])],
        [1, 3, "127.0.0.2", str(places[0])],
        [2, 3, "127.0.0.3", str(places[1])],
    ]
