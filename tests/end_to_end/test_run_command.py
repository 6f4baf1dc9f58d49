"""`batchai-recipes run` with job files of the structure of the official recipes.

Their programs need frameworks that are gone, so programs stand in that say what they find; PyTorch
is there, and its processes really meet.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from unmeasured import unmeasured

from batchai_recipes import Connection, cli

SCHEMA = "https://raw.githubusercontent.com/Azure/BatchAI/master/schemas/2018-05-01/job.json"
ACCOUNT = "<AZURE_BATCHAI_STORAGE_ACCOUNT>"
IMAGE = {"imageSourceRegistry": {"image": "tensorflow/tensorflow:1.8.0-gpu"}}
EXTERNAL = "$AZ_BATCHAI_MOUNT_ROOT/external"
# A cluster that mounts one share, as `az batchai cluster create --afs-name` wrote it.
CLUSTER = {
    "properties": {
        "vmSize": "STANDARD_NC6",
        "scaleSettings": {"manual": {"targetNodeCount": 2}},
        "userAccountSettings": {"adminUserName": "DemoUser", "adminUserPassword": "DemoPa$$w0rd"},
        "nodeSetup": {
            "mountVolumes": {
                "azureFileShares": [
                    {
                        "accountName": ACCOUNT,
                        "azureFileUrl": f"https://{ACCOUNT}.file.core.windows.net/batchaisample",
                        "credentials": {"accountKey": "<AZURE_BATCHAI_STORAGE_KEY>"},
                        "relativeMountPath": "external",
                    }
                ]
            }
        },
    }
}
# What the jobs of 2018 mount by themselves.
LOGS_AND_SCRIPTS = {
    "azureFileShares": [
        {
            "azureFileUrl": f"https://{ACCOUNT}.file.core.windows.net/{share}",
            "relativeMountPath": share,
        }
        for share in ("logs", "scripts")
    ]
}
REPORT = """
import json, os, sys
found = {name: value for name, value in os.environ.items() if name.startswith("OMPI_COMM_")}
os.write(1, json.dumps({**found, "argv": sys.argv[1:]}).encode() + b"\\n")
"""


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    """A service that all runs of this module use, each from nothing and back to nothing."""
    with Connection.embedded(tmp_path_factory.mktemp("run")) as connection:
        yield connection


@pytest.fixture
def command(connection, tmp_path, monkeypatch, capsys):
    """Run a job; return the exit code, what it printed, and the messages. Nothing is left."""
    monkeypatch.chdir(tmp_path)

    def run(job, *arguments, cluster=None, kept=False):
        line = ["batchai-recipes", "run", "job.json", *map(str, arguments)]
        Path("job.json").write_text(json.dumps({"$schema": SCHEMA, "properties": job}))
        if cluster:
            Path("cluster.json").write_text(json.dumps(cluster))
            line += ["--cluster", "cluster.json"]
        monkeypatch.setattr(sys, "argv", [*line, "--state-dir", str(connection.state_dir)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert bool(list(connection.batchai.workspaces.list())) == kept
        assert bool(list(connection.files.list_shares())) == kept
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def folder(tmp_path):
    """A local folder with programs."""

    def make(files):
        for name, text in files.items():
            path = tmp_path / "folder" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "folder"

    return make


MEETS = """
import argparse
import torch
import torch.distributed as dist

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--world-size", type=int)
parser.add_argument("--dist-backend")
parser.add_argument("--dist-url")
parser.add_argument("--rank", type=int)
args = parser.parse_args()
dist.init_process_group(
    args.dist_backend, init_method=args.dist_url, world_size=args.world_size, rank=args.rank
)
total = torch.tensor([args.rank + 1.0])
dist.all_reduce(total)
print(f"rank {args.rank} of {args.world_size}: {total.item():g}")
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_pytorch_on_two_nodes(command, folder):
    """It mounts its own shares; the folder goes to the one that it reads from."""
    pytest.importorskip("torch")
    job = {
        "nodeCount": 2,
        "pyTorchSettings": {
            "pythonScriptFilePath": "$AZ_BATCHAI_JOB_MOUNT_ROOT/scripts/pytorch/mnist_trainer.py",
            "commandLineArgs": "--epochs 10 --world-size 2 "
            "--dist-backend $AZ_BATCHAI_PYTORCH_BACKEND "
            "--dist-url $AZ_BATCHAI_PYTORCH_INIT_METHOD --rank $AZ_BATCHAI_TASK_INDEX",
            "communicationBackend": "gloo",
        },
        "stdOutErrPathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/logs",
        "mountVolumes": LOGS_AND_SCRIPTS,
        "containerSettings": {"imageSourceRegistry": {"image": "pytorch/pytorch:0.4_cuda9_cudnn7"}},
    }
    stage = folder({"pytorch/mnist_trainer.py": MEETS, "pytorch/__pycache__/a.pyc": ""})
    code, output, messages = command(job, "--stage", stage)

    assert code == 0, messages
    for rank in (0, 1):
        assert f"stdout-{rank}.txt: rank {rank} of 2: 3" in output.splitlines()
    assert "Uploaded pytorch/mnist_trainer.py" in messages
    assert "__pycache__" not in messages


SERVES = """
import argparse, os, socket, sys

parser = argparse.ArgumentParser()
for name in ("job_name", "num_gpus", "ps_hosts", "worker_hosts", "data_dir", "output_dir"):
    parser.add_argument("--" + name)
parser.add_argument("--task_index", type=int)
args = parser.parse_args()
hosts = {"ps": args.ps_hosts.split(","), "worker": args.worker_hosts.split(",")}
address, port = hosts[args.job_name][args.task_index].split(":")
if args.job_name == "ps":
    server = socket.create_server((address, int(port)))
    print("serving", len(hosts["worker"]), "workers", flush=True)
    for _ in hosts["worker"]:
        server.accept()[0].sendall(b"weights")
    sys.exit()
address, port = hosts["ps"][0].split(":")
while True:
    try:
        server = socket.create_connection((address, int(port)))
        break
    except ConnectionRefusedError:
        pass
print("worker", args.task_index, "got", server.recv(99).decode(), os.listdir(args.data_dir))
if args.task_index == 0:
    with open(os.path.join(args.output_dir, "checkpoint"), "w") as file:
        file.write("trained")
"""


def test_tensorflow_with_a_parameter_server(command, folder, tmp_path):
    """The cluster mounts the share; what it trained is downloaded."""
    arguments = (
        "--job_name={} --num_gpus={} --ps_hosts=$AZ_BATCHAI_PS_HOSTS "
        "--worker_hosts=$AZ_BATCHAI_WORKER_HOSTS --task_index=$AZ_BATCHAI_TASK_INDEX "
        "--data_dir=$AZ_BATCHAI_INPUT_DATASET --output_dir=$AZ_BATCHAI_OUTPUT_MODEL"
    )
    job = {
        "stdOutErrPathPrefix": EXTERNAL,
        "inputDirectories": [
            {"id": "DATASET", "path": f"{EXTERNAL}/mnist_dataset"},
            {"id": "SCRIPT", "path": f"{EXTERNAL}/tensorflow_samples"},
        ],
        "outputDirectories": [{"id": "MODEL", "pathPrefix": EXTERNAL, "pathSuffix": "Models"}],
        "containerSettings": IMAGE,
        "nodeCount": 2,
        "tensorFlowSettings": {
            "parameterServerCount": 1,
            "workerCount": 2,
            "pythonScriptFilePath": "$AZ_BATCHAI_INPUT_SCRIPT/mnist_replica.py",
            "masterCommandLineArgs": arguments.format("worker", 1),
            "workerCommandLineArgs": arguments.format("worker", 1),
            "parameterServerCommandLineArgs": arguments.format("ps", 0),
        },
    }
    files = {"tensorflow_samples/mnist_replica.py": SERVES, "mnist_dataset/train.gz": ""}
    stage = ["--stage", folder(files), "--outputs", tmp_path / "out"]
    code, output, messages = command(job, *stage, cluster=CLUSTER)

    assert code == 0, messages
    assert "stdout-wk-0.txt: worker 0 got weights ['train.gz']" in output.splitlines()
    assert (tmp_path / "out" / "MODEL" / "checkpoint").read_text() == "trained"
    assert (tmp_path / "out" / "stdouterr" / "stdout-wk-0.txt").read_text().startswith("worker 0")


needs_mpi = pytest.mark.skipif(not shutil.which("mpirun"), reason="Open MPI is not installed")


@needs_mpi
def test_horovod(command, folder):
    """A rank on each node, by the toolkit's own settings."""
    job = {
        "nodeCount": 2,
        "horovodSettings": {
            "pythonScriptFilePath": "$AZ_BATCHAI_JOB_MOUNT_ROOT/scripts/horovod/pytorch_mnist.py"
        },
        "stdOutErrPathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/logs",
        "mountVolumes": LOGS_AND_SCRIPTS,
        # The share that this recipe keeps from earlier times.
        "outputDirectories": [{"id": "MODEL", "pathPrefix": EXTERNAL, "pathSuffix": "Models"}],
        "jobPreparation": {"commandLine": "echo ready"},
        "containerSettings": IMAGE,
    }
    stage = folder({"pytorch_mnist.py": REPORT})
    options = ["--stage", f"scripts/horovod={stage}", "--mount", "batchaisample=external"]
    code, output, messages = command(job, *options)

    assert code == 0, messages
    lines = [line for line in output.splitlines() if line.startswith("stdout.txt: {")]
    ranks = [json.loads(line.partition(": ")[2])["OMPI_COMM_WORLD_RANK"] for line in lines]
    assert sorted(ranks) == ["0", "1"]
    assert sum(line.endswith(": ready") for line in output.splitlines()) == 2


@needs_mpi
def test_horovod_as_a_custom_job(command, folder):
    """With an `mpirun` of its own, as before Horovod was a toolkit."""
    job = {
        "nodeCount": 2,
        "customToolkitSettings": {
            "commandLine": "mpirun --mca plm isolated --allow-run-as-root "
            "--hostfile $AZ_BATCHAI_MPI_HOST_FILE "
            f"{sys.executable} $AZ_BATCHAI_INPUT_SCRIPTS/tensorflow_mnist.py"
        },
        "stdOutErrPathPrefix": EXTERNAL,
        "inputDirectories": [{"id": "SCRIPTS", "path": f"{EXTERNAL}/horovod_samples"}],
        "containerSettings": IMAGE,
    }
    stage = folder({"horovod_samples/tensorflow_mnist.py": REPORT})
    code, output, messages = command(job, "--stage", stage, cluster=CLUSTER)
    assert code == 0, messages
    assert output.count("OMPI_COMM_WORLD_SIZE") == 2


@needs_mpi
def test_cntk_distributed(command, folder):
    """With the recipe's own misspelt property, and a preparation from the share."""
    job = {
        "stdOutErrPathPrefix": EXTERNAL,
        "inputDirectories": [{"id": "SCRIPT", "path": f"{EXTERNAL}/cntk_samples"}],
        "outputDirectories": [{"id": "MODEL", "pathPrefix": EXTERNAL, "pathSuffix": "Models"}],
        "containerSettings": {
            "imageSourceRegistry": {"image": "microsoft/cntk:2.1-gpu-python3.5-cuda8.0-cudnn6.0"}
        },
        "jobPreparation": {"commandLine": "bash $AZ_BATCHAI_INPUT_SCRIPT/prepare.sh"},
        "nodeCount": 2,
        "cntkSettings": {
            "pythonScriptFilePath": "$AZ_BATCHAI_INPUT_SCRIPT/ConvNet_Distributed.py",
            "commandLineArgs": "--datadir $AZ_BATCHAI_JOB_TEMP -outputdir $AZ_BATCHAI_OUTPUT_MODEL",
            "process_count": 2,
        },
    }
    files = {
        "cntk_samples/ConvNet_Distributed.py": REPORT,
        "cntk_samples/prepare.sh": "echo prepared > $AZ_BATCHAI_JOB_TEMP/data",
    }
    code, output, messages = command(job, "--stage", folder(files), cluster=CLUSTER)

    assert code == 0, messages
    lines = [line for line in output.splitlines() if line.startswith("stdout.txt: {")]
    found = [json.loads(line.partition(": ")[2]) for line in lines]
    assert sorted(one["OMPI_COMM_WORLD_RANK"] for one in found) == ["0", "1"]
    assert found[0]["argv"][0] == "--datadir"
    assert found[0]["argv"][3].endswith("/outputs/Models")


CUSTOM = {
    "stdOutErrPathPrefix": EXTERNAL,
    "nodeCount": 1,
    "customToolkitSettings": {"commandLine": "echo out; echo err >&2; exit 7"},
    "outputDirectories": [{"id": "MODEL", "pathPrefix": EXTERNAL}],
}


def test_a_job_that_fails(command, tmp_path):
    """Is status 3 with the reason; its output is downloaded, and all is deleted."""
    options = ["--mount", "data=external", "--outputs", tmp_path / "out"]
    code, output, messages = command(CUSTOM, *options)

    assert code == 3
    assert sorted(output.splitlines()) == ["stderr.txt: err", "stdout.txt: out"]
    assert "Error: Job job failed with exit code 7." in messages
    assert (tmp_path / "out" / "stdouterr" / "stdout.txt").read_text() == "out\n"


def test_what_is_kept_is_told(connection, command, capsys, monkeypatch):
    """With the command that deletes it, which leaves nothing."""
    good = {**CUSTOM, "customToolkitSettings": {"commandLine": "true"}}
    code, _, messages = command(good, "--mount", "data=external", "--clean-up", "never", kept=True)
    told = messages.partition("delete with: batchai-recipes ")[2].split()
    assert (code, told[0]) == (0, "reap")
    monkeypatch.setattr(sys, "argv", ["batchai-recipes", *told])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code, "Deleting workspace" in capsys.readouterr().out) == (0, True)
    assert list(connection.batchai.workspaces.list()) == []
    assert list(connection.files.list_shares()) == []


def test_the_result_as_json(command, tmp_path, monkeypatch):
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
    code, output, messages = command(job, *options)

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
def test_mistakes_are_told_before_anything_is_made(command, job, options, message):
    """With status 2, and nothing on standard output."""
    code, output, messages = command({**CUSTOM, **job}, *options)
    assert (code, output) == (2, "")
    assert message in messages
    assert "Created" not in messages
    assert "Traceback" not in messages


def test_the_cluster_of_a_file_may_lack_its_size(command):
    """Then the command line says it."""
    partial = {"properties": {"nodeSetup": CLUSTER["properties"]["nodeSetup"]}}
    code, _, messages = command(CUSTOM, cluster=partial)
    assert (code, "give --vm-size" in messages) == (2, True)
    good = {**CUSTOM, "customToolkitSettings": {"commandLine": "true"}}
    assert command(good, "--vm-size", "STANDARD_D1", cluster=partial)[0] == 0


def test_a_job_for_more_nodes_than_there_are_is_refused(command):
    """It would wait for ever."""
    code, _, messages = command({**CUSTOM, "nodeCount": 3}, cluster=CLUSTER)
    assert code == 2
    assert "Job 'job' runs on 3 nodes, and the cluster has at most 2: give --nodes 3" in messages


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_cleans_up(connection, environment, tmp_path, number, code):
    """While the job runs."""
    job = {**CUSTOM, "customToolkitSettings": {"commandLine": "echo begun; sleep 1000"}}
    (tmp_path / "job.json").write_text(json.dumps({"properties": job}))
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "batchai_recipes.cli", "run", "job.json"),
            *("--mount", "data=external", "--state-dir", str(connection.state_dir)),
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
    assert list(connection.batchai.workspaces.list()) == []
    assert list(connection.files.list_shares()) == []
