"""`batchai-recipes run`: what it tells, what it refuses, and how it is interrupted."""

import json
import os
import signal
import subprocess
import sys

import pytest
from job_files import CLUSTER, EXTERNAL, LOGS_AND_SCRIPTS
from unmeasured import unmeasured

from batchai_recipes import cli

CUSTOM = {
    "stdOutErrPathPrefix": EXTERNAL,
    "nodeCount": 1,
    "customToolkitSettings": {"commandLine": "echo out; echo err >&2; exit 7"},
    "outputDirectories": [{"id": "MODEL", "pathPrefix": EXTERNAL}],
}


def test_a_job_that_fails(run_job, tmp_path):
    """Is status 3 with the reason; its output is downloaded, and all is deleted."""
    options = ["--mount", "data=external", "--outputs", tmp_path / "out"]
    code, output, messages = run_job(CUSTOM, *options)

    assert code == 3
    assert sorted(output.splitlines()) == ["stderr.txt: err", "stdout.txt: out"]
    assert "Error: Job job failed with exit code 7." in messages
    assert (tmp_path / "out" / "stdouterr" / "stdout.txt").read_text() == "out\n"


def test_what_is_kept_is_told(run_service, run_job, capsys, monkeypatch):
    """With the command that deletes it, which leaves nothing."""
    good = {**CUSTOM, "customToolkitSettings": {"commandLine": "true"}}
    code, _, messages = run_job(good, "--mount", "data=external", "--clean-up", "never", kept=True)
    told = messages.partition("delete with: batchai-recipes ")[2].split()
    assert (code, told[0]) == (0, "reap")
    monkeypatch.setattr(sys, "argv", ["batchai-recipes", *told])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code, "Deleting workspace" in capsys.readouterr().out) == (0, True)
    assert list(run_service.batchai.workspaces.list()) == []
    assert list(run_service.files.list_shares()) == []


def test_the_result_as_json(run_job, tmp_path, monkeypatch):
    """Alone on standard output; placeholders are filled from the environment."""
    settings = {"commandLine": "echo <GREETING_TEXT> $TOKEN"}
    job = {
        **CUSTOM,
        "customToolkitSettings": settings,
        "secrets": [{"name": "TOKEN", "value": "<SECRET_TOKEN>"}],
    }
    monkeypatch.setenv("GREETING_TEXT", "hello")
    monkeypatch.setenv("SECRET_TOKEN", "open sesame")
    options = ["--mount", "data=external", "--outputs", tmp_path / "out", "--json", "-n", "mine"]
    code, output, messages = run_job(job, *options)

    assert code == 0, messages
    result = json.loads(output)
    assert result["job"]["name"] == "mine"
    assert result["job"]["properties"]["executionState"] == "succeeded"
    assert str(tmp_path / "out" / "stdouterr" / "stdout.txt") in result["downloaded"]
    assert "stdout.txt: hello open sesame" in messages.splitlines()
    assert "open sesame" not in output


@pytest.mark.parametrize(
    ("job", "options", "message"),
    [
        ({"nodeCont": 1}, [], "job.json: properties.nodeCont: no such property: did you mean"),
        ({"secrets": [{"name": "A", "value": "<SECRET_NONE>"}]}, [], "<SECRET_NONE> has no value"),
        ({}, [], "the cluster mounts nothing: add .mount(..., at='external')"),
        ({}, ["--mount", "data"], "--mount 'data' names no place: write SHARE=PLACE"),
        ({}, ["--mount", "data=external", "--stage", "nowhere"], "nowhere"),
        ({}, ["--mount", "data=external", "--stage", "dta=."], "did you mean 'data'?"),
        ({}, ["--mount", "data=external", "--nodes", 0], "give --nodes 1"),
        ({}, ["--mount", "data=external", "--idle-timeout", -1], "give seconds above 0"),
        ({}, ["--cluster", "nowhere.json"], "nowhere.json: cannot be read"),
        ({}, ["--mount", "data=external", "--outputs", "job.json"], "Cannot download to job.json"),
        ({}, ["--mount", "data=external", "--name", "a b"], "Error: 'a b' is not a name for a job"),
        ({"mountVolumes": LOGS_AND_SCRIPTS}, ["--stage", "."], "names the place 'external'"),
        (
            {"mountVolumes": LOGS_AND_SCRIPTS},
            ["--mount", "data=external", "--stage", "."],
            "--stage SHARE=DIR: there are 'data', 'logs', 'scripts'",
        ),
        (
            {"stdOutErrPathPrefix": "/out", "outputDirectories": []},
            ["--stage", "."],
            "give --mount SHARE=PLACE",
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_made(run_job, job, options, message):
    """With status 2, and nothing on standard output."""
    code, output, messages = run_job({**CUSTOM, **job}, *options)
    assert (code, output) == (2, "")
    assert message in messages
    assert "Created" not in messages
    assert "Traceback" not in messages


def test_the_cluster_of_a_file_may_lack_its_size(run_job):
    """Then the command line says it."""
    partial = {"properties": {"nodeSetup": CLUSTER["properties"]["nodeSetup"]}}
    code, _, messages = run_job(CUSTOM, cluster=partial)
    assert (code, "give --vm-size" in messages) == (2, True)
    good = {**CUSTOM, "customToolkitSettings": {"commandLine": "true"}}
    assert run_job(good, "--vm-size", "STANDARD_D1", cluster=partial)[0] == 0


def test_a_job_for_more_nodes_than_there_are_is_refused(run_job):
    """It would wait for ever."""
    code, _, messages = run_job({**CUSTOM, "nodeCount": 3}, cluster=CLUSTER)
    assert code == 2
    assert "Job 'job' runs on 3 nodes, and the cluster has at most 2: give --nodes 3" in messages


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_cleans_up(run_service, environment, tmp_path, number, code):
    """While the job runs."""
    job = {**CUSTOM, "customToolkitSettings": {"commandLine": "echo begun; sleep 1000"}}
    (tmp_path / "job.json").write_text(json.dumps({"properties": job}))
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "batchai_recipes.cli", "run", "job.json"),
            *("--mount", "data=external", "--state-dir", str(run_service.state_dir)),
        ],
        cwd=tmp_path,
        env=unmeasured({**os.environ, **environment}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "stdout.txt: begun\n"
    process.send_signal(number)
    _, messages = process.communicate()

    assert process.returncode == code, messages
    assert "Deleting resource group" in messages
    assert "Traceback" not in messages
    assert list(run_service.batchai.workspaces.list()) == []
    assert list(run_service.files.list_shares()) == []
