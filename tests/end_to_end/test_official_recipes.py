"""Job files of the structure of the official recipes, run by `batchai-recipes run`.

Their programs need frameworks that are gone, so programs stand in that say what they find; PyTorch
is there, and its processes really meet.
"""

import json
import shutil
import sys

import pytest
from job_files import CLUSTER, EXTERNAL, LOGS_AND_SCRIPTS

IMAGE = {"imageSourceRegistry": {"image": "tensorflow/tensorflow:1.8.0-gpu"}}
REPORT = """
import json, os, sys
found = {name: value for name, value in os.environ.items() if name.startswith("OMPI_COMM_")}
os.write(1, json.dumps({**found, "argv": sys.argv[1:]}).encode() + b"\\n")
"""


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
def test_pytorch_on_two_nodes(run_job, folder):
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
    code, output, messages = run_job(job, "--stage", stage)

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


def test_tensorflow_with_a_parameter_server(run_job, folder, tmp_path):
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
    code, output, messages = run_job(job, *stage, cluster=CLUSTER)

    assert code == 0, messages
    assert "stdout-wk-0.txt: worker 0 got weights ['train.gz']" in output.splitlines()
    assert (tmp_path / "out" / "MODEL" / "checkpoint").read_text() == "trained"
    assert (tmp_path / "out" / "stdouterr" / "stdout-wk-0.txt").read_text().startswith("worker 0")


needs_mpi = pytest.mark.skipif(not shutil.which("mpirun"), reason="Open MPI is not installed")


@needs_mpi
def test_horovod(run_job, folder):
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
    code, output, messages = run_job(job, *options)

    assert code == 0, messages
    lines = [line for line in output.splitlines() if line.startswith("stdout.txt: {")]
    ranks = [json.loads(line.partition(": ")[2])["OMPI_COMM_WORLD_RANK"] for line in lines]
    assert sorted(ranks) == ["0", "1"]
    assert sum(line.endswith(": ready") for line in output.splitlines()) == 2


@needs_mpi
def test_horovod_as_a_custom_job(run_job, folder):
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
    code, output, messages = run_job(job, "--stage", stage, cluster=CLUSTER)
    assert code == 0, messages
    assert output.count("OMPI_COMM_WORLD_SIZE") == 2


@needs_mpi
def test_cntk_distributed(run_job, folder):
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
    code, output, messages = run_job(job, "--stage", folder(files), cluster=CLUSTER)

    assert code == 0, messages
    lines = [line for line in output.splitlines() if line.startswith("stdout.txt: {")]
    found = [json.loads(line.partition(": ")[2]) for line in lines]
    assert sorted(one["OMPI_COMM_WORLD_RANK"] for one in found) == ["0", "1"]
    assert found[0]["argv"][0] == "--datadir"
    assert found[0]["argv"][3].endswith("/outputs/Models")
