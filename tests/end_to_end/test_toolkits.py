"""Jobs of every toolkit, with real processes on the nodes of an embedded service."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve
from toolkit_bench import ARGUMENTS, NODES, REPORT, check_every_variable, needs_mpi, reporting

from batchai_recipes import (
    Caffe2JobBuilder,
    CaffeJobBuilder,
    CntkJobBuilder,
    CustomJobBuilder,
    JobFailedError,
    PyTorchJobBuilder,
    TensorFlowJobBuilder,
)

EXAMPLES = Path(__file__).parents[2] / "examples"


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
