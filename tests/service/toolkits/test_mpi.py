"""Command lines for mpirun."""

import shutil
import subprocess
from pathlib import Path

import pytest
from attrs import evolve

from batchai_recipes.service.toolkits.custom_mpi import custom_mpi
from batchai_recipes.service.toolkits.horovod import horovod
from batchai_recipes.service.toolkits.mpi import mpi_process
from batchai_recipes.service.toolkits.toolkit import ToolkitError

# Plays mpirun: says what it was told and runs each rank, one after the other.
MPIRUN = """#!/bin/bash
echo "$@" | sed 's/ [^ ]*bash -c.*//'
for OMPI_COMM_WORLD_RANK in $(seq 0 $(($2 - 1))); do
    export OMPI_COMM_WORLD_RANK
    "${@: -3:1}" "${@: -2:1}" "${@: -1}"
done
"""


@pytest.fixture
def run(tmp_path):
    """Run a process of a job as a node would, with a stand-in for mpirun; return what it says."""

    def start(process, *, mpirun=MPIRUN, **environment):
        programs = tmp_path / "bin"
        programs.mkdir(exist_ok=True)
        if mpirun:
            (programs / "mpirun").write_text(mpirun)
            (programs / "mpirun").chmod(0o755)
        for name in ("bash", "date", "id", "nproc", "sed", "seq", "tee"):
            (programs / name).symlink_to(shutil.which(name))
        done = subprocess.run(
            ["bash", "-c", process.command_line],
            env={
                "PATH": str(programs),
                "AZ_BATCHAI_STDOUTERR_DIR": str(tmp_path),
                "AZ_BATCHAI_JOB_TEMP": str(tmp_path),
                "AZ_BATCHAI_SHARED_JOB_TEMP": "/every/node",
                **process.environment,
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.splitlines(), done.stderr

    return start


def test_ranks_are_dealt_out_to_the_hosts_of_their_nodes(toolkit_job, run):
    """The first ones get one more; the node says how others are reached."""
    job = toolkit_job(nodes=2, processCount=3, commandLine="true")
    _, (told,), _ = run(custom_mpi(job)[0])
    assert "-np 3 --host 10.0.0.4:2,10.0.0.5:1 --bind-to none" in told
    assert "--mca orte_tmpdir_base /every/node " in told
    assert "plm" not in told


def test_nodes_of_one_machine_are_one_host(toolkit_job, run):
    """To which no remote shell is needed."""
    _, (told,), _ = run(
        custom_mpi(toolkit_job(nodes=2, address="127.0.0.1", commandLine="true"))[0]
    )
    assert "--host 127.0.0.1:2 " in told
    assert "--mca plm isolated" in told


def test_each_rank_has_the_variables_of_its_node(toolkit_job, run, tmp_path):
    """And its own index; values with blanks and quotes survive, secrets do not show."""
    second = tmp_path / "it's 1"
    second.mkdir()
    job = toolkit_job(
        nodes=2, processCount=4, commandLine='echo "$AZ_BATCHAI_TASK_INDEX $MINE at $PWD"'
    )
    places = [{"MINE": "a", "SAME": "hunter2"}, {"MINE": "b c", "SAME": "hunter2"}]
    places[1]["AZ_BATCHAI_JOB_TEMP"] = str(second)
    process = custom_mpi(evolve(job, variables=tuple(places)))[0]
    _, (_, *ranks), _ = run(process, MINE="a")
    here = Path.cwd()
    assert ranks == [f"0 a at {here}", f"1 a at {here}", f"2 b c at {second}", f"3 b c at {second}"]
    assert "hunter2" not in process.command_line


def test_ranks_of_one_machine_see_the_gpus_of_all_its_nodes(toolkit_job):
    """For MPI counts local ranks by machine; nodes on machines of their own keep theirs."""
    shared = toolkit_job(nodes=2, address="127.0.0.1", visible=("0,1", "2,3"), commandLine="true")
    assert custom_mpi(shared)[0].environment == {"CUDA_VISIBLE_DEVICES": "0,1,2,3"}
    apart = toolkit_job(nodes=2, visible=("0", "0"), commandLine="true")
    assert custom_mpi(apart)[0].environment == {}


def test_ranks_yield_where_there_are_more_than_cores(toolkit_job, run):
    """Else they take the cores from each other by spinning."""
    many = toolkit_job(processCount=1000, commandLine="true")
    said = "#!/bin/bash\necho ${OMPI_MCA_mpi_yield_when_idle-no}\n"
    assert run(custom_mpi(many)[0], mpirun=said)[1] == ["1"]


def test_a_single_process_does_not_yield(toolkit_job, run):
    """It has nobody to yield to."""
    said = "#!/bin/bash\necho ${OMPI_MCA_mpi_yield_when_idle-no}\n"
    assert run(custom_mpi(toolkit_job(commandLine="true"))[0], mpirun=said)[1] == ["no"]


def test_a_missing_mpirun_is_named_with_what_to_install(toolkit_job, run, tmp_path):
    """On standard error and in the execution log."""
    code, _, said = run(horovod(toolkit_job(pythonScriptFilePath="t.py"))[0], mpirun="")
    assert code == 127
    assert "install Open MPI there (Debian and Ubuntu: openmpi-bin)" in said
    assert said == (tmp_path / "execution.log").read_text()


def test_a_missing_command_is_refused(toolkit_job):
    """The message names the setting."""
    with pytest.raises(ToolkitError, match="commandLine is missing"):
        custom_mpi(toolkit_job())


def test_nodes_of_one_machine_need_not_be_neighbours(toolkit_job, run, tmp_path):
    """Ranks go to machines in blocks, the master's first, and each to a node of its machine."""
    job = toolkit_job(nodes=3, commandLine='echo "$MINE"')
    nodes = (job.nodes[0], job.nodes[1], job.nodes[0])
    places = tuple({"MINE": f"{n}", "AZ_BATCHAI_JOB_TEMP": str(tmp_path)} for n in range(3))
    process = mpi_process(evolve(job, nodes=nodes, variables=places), 'echo "$MINE"', "")
    _, (told, *ranks), _ = run(process, MINE="0")
    assert "--host 10.0.0.4:2,10.0.0.5:1 " in told
    assert ranks == ["0", "2", "1"]
