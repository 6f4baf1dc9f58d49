"""What the training program promises: parity with CNTK, speed beside it, and equal nodes.

    python benchmarks/trainer.py speed   the two engines side by side, the reader, a whole job
    python benchmarks/trainer.py parity  40 epochs: PyTorch with several seeds, CNTK as a job
    python benchmarks/trainer.py nodes   the loss of a job on one node and on two

All need MNIST (``BATCHAI_RECIPES_DATA``), and where CNTK is named the Python of ``make cntk``.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from batchai_recipes import (
    ClusterBuilder,
    Connection,
    FileShareStaging,
    PyTorchJobBuilder,
    TrainingSession,
)
from batchai_recipes.trainer.convnet.ctf_text import read_ctf
from batchai_recipes.trainer.convnet.sample_cache import read_samples
from batchai_recipes.trainer.prepare import TEST_FILE, TRAIN_FILE, prepare_mnist
from batchai_recipes.trainer.script import TRAINING_PACKAGE, TRAINING_SCRIPT

RESULT = re.compile(r"^Final Results: errs = ([\d.]+)% \* \d+$", re.MULTILINE)
QUICKSTART = (sys.executable, "-m", "batchai_recipes.cli", "quickstart", "--data", "mnist")


def trained(
    python: str, data: Path, models: Path, *options: str
) -> tuple[list[dict[str, Any]], float]:
    """Run the program; return the metrics of its epochs and the percentage of the test's errors."""
    done = subprocess.run(
        [python, TRAINING_SCRIPT, data, models, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    lines = (models / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], float(RESULT.findall(done.stdout)[0])


def first_lines(source: Path, target: Path, count: int) -> None:
    """Copy the beginning of a text."""
    with source.open("rb") as read, target.open("wb") as write:
        write.writelines(islice(read, count))


def engines(data: Path, work: Path, options: argparse.Namespace) -> None:
    """Train some of MNIST by both engines in turn; the second epoch of each run counts."""
    part = work / "part"
    part.mkdir()
    first_lines(data / TRAIN_FILE, part / TRAIN_FILE, options.samples)
    first_lines(data / TEST_FILE, part / TEST_FILE, 1000)
    rates: dict[str, list[float]] = {"cntk": [], "torch": []}
    for number in range(options.rounds):
        for engine, python in (("cntk", options.cntk_python), ("torch", sys.executable)):
            models = work / f"{engine}{number}"
            metrics, _ = trained(python, part, models, "--epochs", "2", "--engine", engine)
            rates[engine].append(metrics[-1]["rate"])
    medians = {engine: statistics.median(found) for engine, found in rates.items()}
    for engine, found in rates.items():
        print(f"{engine}: {medians[engine]:,.0f} samples/s, of {[round(rate) for rate in found]}")
    print(f"torch beside cntk: {medians['torch'] / medians['cntk']:.2f} x")


def reader(data: Path, options: argparse.Namespace) -> None:
    """Read the training text, and the cache that was made of it."""
    text = data / TRAIN_FILE
    megabytes = text.stat().st_size / 1e6
    for name, read in (("text", read_ctf), ("cache", read_samples)):
        read(text)
        seconds = []
        for _ in range(options.rounds):
            started = time.perf_counter()
            read(text)
            seconds.append(time.perf_counter() - started)
        median = statistics.median(seconds)
        print(
            f"{name}: {median:.3f} s for {megabytes:.0f} MB of text, {megabytes / median:,.0f} MB/s"
        )


def whole_job(work: Path, options: argparse.Namespace) -> None:
    """Time `batchai-recipes quickstart` on MNIST, from the command's start to its end."""
    for _ in range(options.rounds):
        started = time.perf_counter()
        done = subprocess.run(
            [*QUICKSTART, "--epochs", "2", "--engine", "torch", "--models", work / "job"],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - started
        print(f"quickstart, 2 epochs: {seconds:.1f} s, {RESULT.findall(done.stdout)[0]} % wrong")


def speed(data: Path, work: Path, options: argparse.Namespace) -> None:
    """Print all that is about speed."""
    reader(data, options)
    engines(data, work, options)
    whole_job(work, options)


def parity(data: Path, work: Path, options: argparse.Namespace) -> None:
    """Print the errors of whole trainings."""
    epochs = ("--epochs", str(options.epochs))
    percents = []
    for seed in range(1, options.seeds + 1):
        models = work / f"seed{seed}"
        _, percent = trained(
            sys.executable, data, models, *epochs, "--engine", "torch", "--seed", str(seed)
        )
        print(f"torch, seed {seed}: {percent:.2f} %", flush=True)
        percents.append(percent)
    print(f"torch, mean of {len(percents)}: {statistics.mean(percents):.3f} %", flush=True)
    cntk = ("--engine", "cntk", "--cntk-python", options.cntk_python)
    done = subprocess.run(
        [*QUICKSTART, *epochs, *cntk, "--models", work / "cntk"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    print(f"cntk, as a job: {RESULT.findall(done.stdout)[0]} %")


def nodes(data: Path, work: Path, options: argparse.Namespace) -> None:
    """Print the loss of the first epochs on one node and on two, at the same minibatch."""
    staging = (
        FileShareStaging("data")
        .directory("sample")
        .upload(data / TRAIN_FILE, data / TEST_FILE, TRAINING_SCRIPT)
        .directory("sample/convnet")
        .upload_tree(TRAINING_PACKAGE, ignore=["__pycache__/"])
    )
    cluster = ClusterBuilder("c").vm_size("STANDARD_D1").nodes(2).mount(staging, at="share")
    losses = []
    with (
        Connection.embedded(work / "state") as connection,
        TrainingSession(cluster, staging=staging, connection=connection) as session,
    ):
        for count in (1, 2):
            job = (
                PyTorchJobBuilder(f"on{count}")
                .nodes(count)
                .input("SAMPLE", staging.mounted("sample"))
                .output("MODEL", suffix="Models")
                .script("$AZ_BATCHAI_INPUT_SAMPLE/ConvNet_MNIST.py")
                .args(
                    *("$AZ_BATCHAI_INPUT_SAMPLE", "$AZ_BATCHAI_OUTPUT_MODEL"),
                    *("--engine", "torch", "--epochs", str(options.epochs)),
                )
            )
            run = session.submit(job)
            print(next(iter(run.stream())))
            run.wait()
            run.outputs("MODEL").download(work / job.name)
            lines = (work / job.name / "metrics.jsonl").read_text().splitlines()
            losses.append([json.loads(line)["loss"] for line in lines])
            print(f"{count} nodes: losses {[round(loss, 6) for loss in losses[-1]]}", flush=True)
    print(f"after the first epoch they differ by {abs(losses[0][0] - losses[1][0]):.2e}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("speed", "parity", "nodes"))
    parser.add_argument("--cntk-python", default=".venv-cntk/bin/python")
    parser.add_argument("--rounds", type=int, default=3, help="speed: the median of so many")
    parser.add_argument("--samples", type=int, default=19_200, help="speed: to train with")
    parser.add_argument("--epochs", type=int, default=40, help="parity and nodes")
    parser.add_argument("--seeds", type=int, default=5, help="parity: of PyTorch")
    options = parser.parse_args(arguments)
    options.cntk_python = os.path.abspath(options.cntk_python)  # noqa: PTH100 - keeps its link
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        data = prepare_mnist(work / "data").train.parent
        {"speed": speed, "parity": parity, "nodes": nodes}[options.what](data, work, options)


if __name__ == "__main__":
    main()
