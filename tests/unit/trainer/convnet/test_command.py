"""Tests of `batchai_recipes.trainer.convnet.command`: what a user gives and gets."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from batchai_recipes.trainer.convnet.command import main  # noqa: E402 - needs PyTorch
from batchai_recipes.trainer.convnet.torch_network import ConvNet  # noqa: E402 - likewise
from batchai_recipes.trainer.prepare import TEST_FILE, TRAIN_FILE  # noqa: E402 - likewise
from batchai_recipes.trainer.script import TRAINING_PACKAGE, TRAINING_SCRIPT  # noqa: E402 - likewise

pytestmark = pytest.mark.usefixtures("one_process")


@pytest.fixture
def run(capsys, data_folder, tmp_path):
    """Run the script on the data of `data_folder`; return exit status, stdout and stderr lines."""

    def run(*options, data=data_folder, models=tmp_path / "models"):
        status = main([str(data), str(models), "--device", "cpu", *options])
        output = capsys.readouterr()
        return status, output.out.splitlines(), output.err.splitlines()

    return run


@pytest.fixture
def failure(run):
    """Run the script to an error; return exit status and the one line of the error."""

    def failure(*options, **folders):
        status, _, errors = run(*options, **folders)
        (line,) = errors
        return status, line.removeprefix("ConvNet_MNIST.py: error: ")

    return failure


def test_progress_is_printed_once_per_epoch(run):
    """Every line stands on standard output, and the last one is the result."""
    status, lines, errors = run("--epochs", "2", "--engine", "torch", "--minibatch-size", "30")

    assert status == 0
    assert errors == []
    assert lines[0].startswith(f"Engine: PyTorch {torch.__version__}, device: cpu, ")
    assert lines[1] == "Samples: 100 for training, 100 for testing"
    assert lines[2].startswith("Finished Epoch[1 of 2]: [Training] loss = ")
    assert lines[3].startswith("Finished Epoch[2 of 2]: [Training] loss = ")
    assert lines[4].startswith("Final Results: errs = ")
    assert lines[4].endswith("% * 100")
    assert len(lines) == 5


def test_a_model_is_saved_after_each_epoch(run, tmp_path):
    """Each model can be loaded into the network; metrics, checkpoints and ONNX lie beside them."""
    pytest.importorskip("onnx")
    run("--epochs", "2", models=tmp_path / "new" / "models")

    made = sorted((tmp_path / "new" / "models").iterdir())
    assert [path.name for path in made] == [
        *("ConvNet_MNIST.onnx", "ConvNet_MNIST_0.pt", "ConvNet_MNIST_1.pt"),
        *("checkpoints", "metrics.jsonl"),
    ]
    for model in made[1:3]:
        ConvNet().load_state_dict(torch.load(model, weights_only=True))
    epochs = [json.loads(line)["epoch"] for line in made[-1].read_text().splitlines()]
    assert epochs == [1, 2]


def test_a_resumed_training_ends_as_an_undisturbed_one(run, tmp_path):
    """Its lines and models are the same, and its metrics cover all epochs."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = ("--minibatch-size", "16", "--resume")
    _, expected, _ = run("--epochs", "3", *options, models=whole)
    run("--epochs", "2", *options, models=parts)
    status, lines, errors = run("--epochs", "3", *options, models=parts)

    assert (status, errors) == (0, [])
    assert lines[2] == "Resumed after epoch 2"
    assert expected[-1] == lines[-1]
    losses = [
        [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (whole, parts)
    ]
    assert len(losses[0]) == 3
    assert losses[0] == losses[1]
    states = [torch.load(folder / "ConvNet_MNIST_2.pt") for folder in (whole, parts)]
    for one, other in zip(*(state.values() for state in states), strict=True):
        assert torch.equal(one, other)


def test_a_training_that_was_queued_again_goes_on_from_its_first_run(run, tmp_path, monkeypatch):
    """Batch AI names the outputs of that run."""
    run("--epochs", "1", models=tmp_path / "first")
    monkeypatch.setenv("AZ_BATCHAI_PREV_OUTPUT_MODEL", str(tmp_path / "first"))

    _, lines, _ = run("--epochs", "2", "--resume", models=tmp_path / "second")

    assert lines[2] == "Resumed after epoch 1"
    assert len((tmp_path / "second" / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_damaged_checkpoint_is_told_and_the_one_before_used(run, tmp_path):
    """A disk may lose what was written."""
    run("--epochs", "3")
    newest = tmp_path / "models" / "checkpoints" / "epoch_0003"
    (newest / "state").write_bytes(b"half")

    status, lines, _ = run("--epochs", "3", "--resume")

    assert status == 0
    assert lines[2].startswith(f"{newest}: damaged, not used: ")
    assert lines[3] == "Resumed after epoch 2"
    assert lines[4].startswith("Finished Epoch[3 of 3]")


def test_a_checkpoint_of_other_settings_is_refused(failure, run, tmp_path):
    """What came of the mixture would be neither training."""
    run("--epochs", "1")

    status, line = failure("--epochs", "2", "--resume", "--seed", "2")

    assert status == 2
    folder = tmp_path / "models" / "checkpoints" / "epoch_0001"
    assert line == f"{folder} is of a training with seed 1, not 2; begin anew without --resume"


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False], ids=["one folder", "two folders"])
def test_processes_go_on_from_one_epoch_or_not_at_all(run, tmp_path, data_folder, shared):
    """Else their networks would differ from then on, and nobody would see it."""
    run("--epochs", "1", "--engine", "torch")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = (
        "import sys; from batchai_recipes.trainer.convnet.command import main; sys.exit(main())"
    )
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, "-c", program, str(data_folder)),
                str(tmp_path / ("models" if shared or rank == 0 else "others")),
                *("--epochs", "2", "--resume", "--engine", "torch", "--device", "cpu"),
            ],
            env={
                **os.environ,
                "RANK": str(rank),
                "WORLD_SIZE": "2",
                "OMP_NUM_THREADS": "1",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate() for process in processes]

    if shared:
        assert "Resumed after epoch 1" in said[0][0], said
        assert "Finished Epoch[2 of 2]" in said[0][0], said
        return
    assert [process.returncode for process in processes] == [1, 1], said
    for (_, errors), epoch in zip(said, (1, 0), strict=True):
        assert f"different epochs, this one after epoch {epoch}: let all" in errors
    kept = tmp_path / "models" / "checkpoints"
    assert [path.name for path in kept.iterdir()] == ["epoch_0001"]


def test_without_resume_a_training_begins_anew(run, tmp_path):
    """And old checkpoints are gone, so that nobody goes on from them."""
    run("--epochs", "2")
    checkpoints = tmp_path / "models" / "checkpoints"
    (checkpoints / ".epoch_0003.abc.tmp").mkdir()
    (tmp_path / "models" / ".ConvNet_MNIST_2.pt.abc.tmp").write_text("half")

    _, lines, _ = run("--epochs", "1")

    assert lines[2].startswith("Finished Epoch[1 of 1]")
    assert [path.name for path in checkpoints.iterdir()] == ["epoch_0001"]
    assert list((tmp_path / "models").glob(".*")) == []


def test_a_finished_training_is_only_tested_when_resumed(run):
    """Its last line is the same."""
    _, first, _ = run("--epochs", "1")
    _, again, _ = run("--epochs", "1", "--resume")

    assert again[2:] == ["Resumed after epoch 1", first[-1]]


def test_a_node_without_onnx_trains_all_the_same(run, monkeypatch, tmp_path):
    """The models in PyTorch's own format are there."""
    monkeypatch.setitem(sys.modules, "onnx", None)

    status, lines, _ = run("--epochs", "1")

    assert status == 0
    assert lines[-2].startswith("No ONNX model: ")
    assert not (tmp_path / "models" / "ConvNet_MNIST.onnx").exists()


@pytest.mark.parametrize("name", [TRAIN_FILE, TEST_FILE])
def test_a_missing_data_file_is_named(failure, data_folder, name):
    """What is missing is told in one line, before anything is trained."""
    (data_folder / name).unlink()

    assert (2, f"{data_folder / name}: No such file or directory") == failure()


def test_a_malformed_data_file_is_named(failure, data_folder):
    """What cannot be read is told with its line, before anything is trained."""
    with (data_folder / TEST_FILE).open("a") as file:
        file.write("|labels 0 0 1 0 0 0 0 0 0 0\n")

    status, line = failure()

    assert status == 2
    assert f"{data_folder / TEST_FILE}, line 101: the field |features is missing" == line


def test_a_model_folder_that_is_a_file_is_named(failure, tmp_path):
    """Models that could not be saved are not trained."""
    (tmp_path / "models").write_text("")

    assert (2, f"{tmp_path / 'models'}: File exists") == failure()


def test_a_model_that_cannot_be_saved_is_named(failure, tmp_path):
    """A failed save ends the training and leaves no unfinished file."""
    folder = tmp_path / "models"
    (folder / "ConvNet_MNIST_0.pt").mkdir(parents=True)

    status, line = failure()

    assert status == 1
    assert line.startswith(f"{folder / 'ConvNet_MNIST_0.pt'}: cannot be written: ")
    assert [path.name for path in folder.iterdir()] == ["ConvNet_MNIST_0.pt"]


def test_a_loss_without_bounds_ends_the_training(failure, data_folder):
    """A network that has lost itself is neither saved nor trained further."""
    text = (data_folder / TRAIN_FILE).read_text()
    bright = re.sub(r"features \S+ \S+", "features 3e38 -3e38", text, count=1)
    (data_folder / TRAIN_FILE).write_text(bright)

    status, line = failure("--epochs", "3")

    assert status == 1
    assert line.startswith("the loss of epoch 1 is nan; try a smaller --minibatch-size")


def test_an_engine_that_cannot_go_on_is_told(failure, monkeypatch):
    """As when a device has no memory left, or another process is gone."""

    def fail(*_):
        raise RuntimeError("Connection closed by peer [127.0.0.1]\nmore of it")

    monkeypatch.setattr("batchai_recipes.trainer.convnet.torch_engine.TorchEngine._learn", fail)

    expected = "epoch 1 cannot be learned: Connection closed by peer [127.0.0.1]"
    assert failure("--engine", "torch") == (1, expected)


def test_an_engine_that_is_not_installed_is_named(failure, monkeypatch):
    """The error tells what each engine lacks and what to install."""
    monkeypatch.setitem(sys.modules, "cntk", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("torch_engine", "torch_network", "torch_onnx"):
        monkeypatch.delitem(sys.modules, f"batchai_recipes.trainer.convnet.{name}")

    status, line = failure()

    assert status == 2
    assert line.startswith("no engine to train with (cntk: ")
    assert "; torch: " in line
    assert line.endswith("pip install torch")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_does_not_exist_is_told(failure):
    """Who asks for a GPU does not get a CPU."""
    status, line = failure("--engine", "torch", "--device", "cuda")

    assert status == 2
    assert line.startswith("--device cuda: PyTorch ")


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        (["--epochs", "0"], "argument --epochs: 0 is not above 0"),
        (["--epochs", "many"], "argument --epochs: invalid positive value: 'many'"),
        (["--minibatch-size", "-1"], "argument --minibatch-size: -1 is not above 0"),
        (["--seed", "-1"], "argument --seed: -1 is not from 0 to 2**32 - 1"),
        (["--engine", "caffe"], "argument --engine: invalid choice: 'caffe'"),
    ],
)
def test_an_unusable_option_is_told(run, capsys, option, complaint):
    """Options are checked before any data are read."""
    with pytest.raises(SystemExit) as end:
        run(*option)

    assert end.value.code == 2
    assert complaint in capsys.readouterr().err


def test_the_script_without_numpy_says_what_to_install(tmp_path):
    """Where even NumPy is missing there is one line and no traceback."""
    shutil.copy(TRAINING_SCRIPT, tmp_path)
    shutil.copytree(TRAINING_PACKAGE, tmp_path / "convnet")

    done = subprocess.run(
        [sys.executable, "-I", "-S", tmp_path / TRAINING_SCRIPT.name, "data", "models"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (
        done.returncode,
        done.stderr,
    ) == (1, "ConvNet_MNIST.py needs NumPy: pip install numpy\n")
