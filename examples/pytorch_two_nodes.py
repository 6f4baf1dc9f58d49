"""Train with PyTorch on a cluster of two nodes and download the model.

    python pytorch_two_nodes.py

The script that both nodes run is data_parallel.py, beside this one.
"""

from pathlib import Path

from batchai_recipes import ClusterBuilder, FileShareStaging, PyTorchJobBuilder, TrainingSession

SCRIPT = Path(__file__).with_name("data_parallel.py")


def main(models: Path = Path("models")) -> list[Path]:
    """Train, show what both ranks printed, and return the downloaded model files."""
    staging = FileShareStaging("pytorch").directory("code").upload(SCRIPT)
    cluster = ClusterBuilder("twonodes").vm_size("STANDARD_NC6").nodes(2).mount(staging, at="share")
    job = (
        PyTorchJobBuilder("dataparallel")
        .nodes(2)
        .input("CODE", staging.mounted("code"))
        .output("MODEL")
        .script("$AZ_BATCHAI_INPUT_CODE/data_parallel.py")
        .args("$AZ_BATCHAI_OUTPUT_MODEL")
        .communication_backend("gloo")
    )
    with TrainingSession(cluster, staging=staging, report=print) as session:
        run = session.submit(job)
        for rank in (0, 1):
            for line in run.stream(f"stdout-{rank}.txt"):
                print(f"[{rank}] {line}")
        run.wait()
        return run.outputs("MODEL").download(models)


if __name__ == "__main__":
    for model in main():
        print(f"Downloaded {model}")
