"""The quickstart, from the command line, with everything real."""

import json
import re
import signal
import sys
from pathlib import Path

import pytest
from forked_programs import COMMAND
from unmeasured import unmeasured

from batchai_recipes.trainer.script import TRAINING_PACKAGE

pytest.importorskip("torch", reason="the quickstart trains with PyTorch here")

MNIST = Path(__file__).parents[3] / "shared" / "mnist"
READY = (
    "Cluster state: steady Target: 1; Allocated: 1; Idle: 1; Unusable: 0; Running: 0; "
    "Preparing: 0; Leaving: 0"
)
# The two texts, the script, and the package beside it.
FILES = 3 + len([path for path in TRAINING_PACKAGE.iterdir() if path.suffix in {".py", ".c"}])
RESULT = re.compile(r"^Final Results: errs = ([\d.]+)% \* (\d+)$", re.MULTILINE)


def test_it_trains_on_digits_and_leaves_nothing(command, state_dir, tmp_path, nothing_left):
    """Every step of the original quickstart, in its words."""
    done = command(
        *("quickstart", "--data", "digits", "--epochs", "2"), *("--models", str(tmp_path / "m"))
    )

    assert (done.returncode, done.stderr) == (0, "")
    output = done.stdout
    assert RESULT.search(output)
    expected_in_order = [
        "Created resource group",
        "Created workspace",
        "Created file share batchaiquickstart",
        f"Uploaded {FILES} files",
        READY,
        "Created experiment",
        "Created job myjob",
        "Job state: running",
        "Finished Epoch[1 of 2]",
        "Finished Epoch[2 of 2]",
        "Final Results",
        "Job state: succeeded",
        "stdouterr: execution.log",
        "stdouterr: stderr.txt",
        "stdouterr: stdout.txt",
        "MODEL: ConvNet_MNIST.onnx",
        "MODEL: ConvNet_MNIST_1",
        "Deleting job myjob",
        "Deleting experiment",
        "Deleting cluster mycluster",
        "Deleting file share batchaiquickstart",
        "Deleting workspace",
        "Deleting resource group",
        "Downloaded",
    ]
    places = [output.find(text) for text in expected_in_order]
    assert -1 not in places, expected_in_order[places.index(-1)]
    assert sorted(places) == places
    assert {path.name for path in (tmp_path / "m").iterdir() if path.stat().st_size} == {
        *("ConvNet_MNIST_0.pt", "ConvNet_MNIST_1.pt", "ConvNet_MNIST.onnx"),
        *("checkpoints", "metrics.jsonl", "training.png", "misclassified.png"),
    }
    errors, samples = RESULT.findall(output)[0]
    wrong = round(float(errors) * int(samples) / 100)
    assert f"The downloaded model takes {wrong} of {samples} test digits for others" in output
    # matplotlib keeps a list of fonts; ONNX Runtime would keep its reports to Microsoft.
    assert {path.name for path in (tmp_path / "cache").iterdir()} <= {
        "batchai-recipes",
        "matplotlib",
    }
    nothing_left()


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.is_dir(), reason="the real MNIST is not beside this checkout")
def test_two_epochs_on_mnist_give_at_most_two_and_a_half_percent(
    command, environment, tmp_path, nothing_left
):
    """The figure that the project promises."""
    environment["BATCHAI_RECIPES_DATA"] = str(MNIST)
    done = command(
        *("quickstart", "--data", "mnist", "--epochs", "2"), *("--models", str(tmp_path / "m"))
    )

    assert done.returncode == 0, done.stderr
    errors, samples = RESULT.findall(done.stdout)[0]
    assert int(samples) == 10_000
    assert float(errors) <= 2.5
    nothing_left()


def test_the_share_can_be_kept(command, state_dir, tmp_path):
    """`--keep` leaves the share and nothing else."""
    done = command(
        *("quickstart", "--data", "digits", "--epochs", "1", "--keep", "--json"),
        *("--models", str(tmp_path / "m")),
    )

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["data"], result["count"]) == ("digits", 297)
    assert all(Path(path).is_file() for path in result["downloaded"])
    assert "Created job myjob" in done.stderr
    kept = {path.name for path in (state_dir / "shares").rglob("*.txt")}
    assert {"Train-28x28_cntk_text.txt", "Test-28x28_cntk_text.txt"} <= kept


def test_without_an_engine_it_says_what_to_install(command, environment, tmp_path):
    """Before anything is made."""
    environment["BATCHAI_RECIPES_CNTK_PYTHON"] = sys.executable
    done = command("quickstart", "--data", "digits", "--engine", "cntk")

    assert done.returncode == 2
    assert "cannot import cntk (ModuleNotFoundError" in done.stderr
    assert "run `make cntk`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "phase",
    [
        "Created resource group",
        "Created file share",
        "Uploaded ",
        "Created workspace",
        "Created cluster",
        "Cluster state:",
        "Created experiment",
        "Created job",
        "Job state: running",
        "Finished Epoch[1",
        "Deleting job",
    ],
)
def test_ctrl_c_in_each_phase_leaves_nothing(forked, environment, tmp_path, nothing_left, phase):
    """And ends with the status of an interrupted program."""
    with forked.start(
        COMMAND,
        *("quickstart", "--data", "digits", "--models", tmp_path / "models"),
        *("--epochs", "1" if phase.startswith("Deleting") else "500"),
        environment=unmeasured(environment),
    ) as process:
        for line in process.stdout:
            if line.startswith(phase):
                process.send_signal(signal.SIGINT)
                break
        rest, stderr = process.communicate()

    assert process.returncode == 130, rest + stderr
    assert "Traceback" not in stderr
    nothing_left()
