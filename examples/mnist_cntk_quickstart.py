"""The Batch AI quickstart: train the MNIST network on a cluster and download the model.

    python mnist_cntk_quickstart.py DATA_DIR

DATA_DIR holds the two files that ``batchai-recipes data mnist DATA_DIR`` writes.
"""

import sys
from pathlib import Path

from batchai_recipes import (
    ClusterBuilder,
    CntkJobBuilder,
    Connection,
    FileShareStaging,
    TrainingSession,
)
from batchai_recipes.trainer.script import TRAINING_PACKAGE, TRAINING_SCRIPT


def main(
    data_dir: Path,
    models: Path = Path("models"),
    *,
    epochs: int = 2,
    engine: str = "auto",
    interpreter: str | None = None,
    keep: bool = False,
    connection: Connection | None = None,
) -> list[Path]:
    """Stage the data and the script, train, and return the downloaded model files."""
    staging = (
        FileShareStaging("batchaiquickstart")
        .directory("mnistcntksample")
        .upload(data_dir / "Train-28x28_cntk_text.txt", data_dir / "Test-28x28_cntk_text.txt")
        .upload(TRAINING_SCRIPT)
        .directory("mnistcntksample/convnet")
        .upload_tree(TRAINING_PACKAGE, ignore=["__pycache__/"])
    )
    cluster = (
        ClusterBuilder("mycluster")
        .vm_size("STANDARD_NC6")
        .nodes(1)
        .mount(staging, at="azurefileshare")
    )
    job = (
        CntkJobBuilder("myjob")
        .input("SAMPLE", staging.mounted("mnistcntksample"))
        .output("MODEL", suffix="Models")
        .script("$AZ_BATCHAI_INPUT_SAMPLE/ConvNet_MNIST.py")
        .args(
            *("$AZ_BATCHAI_INPUT_SAMPLE", "$AZ_BATCHAI_OUTPUT_MODEL"),
            *("--epochs", str(epochs), "--engine", engine, "--resume"),
        )
        .container("microsoft/cntk:2.1-gpu-python3.5-cuda8.0-cudnn6.0")
    )
    if interpreter is not None:  # a Python on the node that has CNTK, or another PyTorch
        job = job.python_interpreter(interpreter)
    # Without a connection it is the embedded service, unless BATCHAI_ENDPOINT is set; with it come
    # the storage account, the location and the admin user of the nodes.
    with TrainingSession(
        cluster, staging=staging, connection=connection, keep_outputs=keep, report=print
    ) as session:
        run = session.submit(job)
        for line in run.stream("stdout.txt"):
            print(line)
        run.wait()
        for directory in ("stdouterr", "MODEL"):
            for file in run.outputs(directory).files():
                # `file.url` downloads it without credentials for an hour: not for a log.
                print(f"{directory}: {file.path} ({file.size:,} bytes)")
        return run.outputs("MODEL").download(models)


if __name__ == "__main__":
    for model in main(Path(sys.argv[1])):
        print(f"Downloaded {model}")
