"""Tests of `batchai_recipes.trainer.ConvNet_MNIST`: network, schedule and command line."""

import ast
import math
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from batchai_recipes.trainer.ConvNet_MNIST import (
    Samples,
    TorchEngine,
    learning_rate_per_sample,
    main,
    momentum,
    torch_network,
)
from batchai_recipes.trainer.ctf import write_ctf
from batchai_recipes.trainer.prepare import TEST_FILE, TRAIN_FILE
from batchai_recipes.trainer.script import TRAINING_SCRIPT

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
functional = torch.nn.functional


@pytest.fixture
def samples():
    """A few random images."""
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (100, 784), dtype=np.uint8)
    return Samples(images, random.integers(0, 10, 100))


@pytest.fixture
def data_folder(tmp_path, samples):
    """A folder with the script's two files, of a few random images."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in (TRAIN_FILE, TEST_FILE):
        write_ctf(folder / name, samples.images, samples.labels.astype(np.uint8))
    return folder


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


def test_the_learning_rate_falls_after_epochs_10_and_20():
    """The rates are those of CNTK's example."""
    rates = [learning_rate_per_sample(epoch) for epoch in range(1, 41)]

    assert rates == [0.001] * 10 + [0.0005] * 10 + [0.0001] * 20


def test_momentum_begins_with_epoch_6():
    """After five epochs without it, momentum decays by 1/e in 1,024 samples."""
    assert [momentum(epoch, 64) for epoch in range(1, 6)] == [0] * 5
    assert {math.exp(-64 / 1024)} == {momentum(epoch, 64) for epoch in range(6, 41)}
    assert momentum(6, 1024) == pytest.approx(1 / math.e)


@pytest.mark.parametrize(("epoch", "rate"), [(1, 0.001), (6, 0.001), (11, 0.0005), (21, 0.0001)])
def test_pytorch_follows_the_schedule(samples, epoch, rate):
    """Momentum has unit gain, as in CNTK: what it keeps, the new gradient lacks."""
    engine = TorchEngine(samples, 64, 1, "cpu")

    engine.train_epoch(epoch)

    (group,) = engine._optimizer.param_groups
    assert rate == group["lr"]
    assert momentum(epoch, 64) == group["momentum"] == group["dampening"]


def test_one_step_is_the_rate_times_the_sum_of_gradients(samples):
    """The learning rate is per sample: a minibatch of any size moves by the sum."""
    few = Samples(samples.images[:7], samples.labels[:7])
    engine = TorchEngine(few, 64, 1, "cpu")
    reference = torch_network()
    reference.load_state_dict(engine._network.state_dict())
    # The same random numbers give the same order and the same dropout.
    torch.manual_seed(2)
    order = torch.randperm(7)
    outputs = reference(torch.from_numpy(few.images).reshape(-1, 1, 28, 28)[order])
    labels = torch.from_numpy(few.labels)[order]
    loss = functional.cross_entropy(outputs, labels)
    (loss * 7).backward()

    torch.manual_seed(2)
    loss_sum, errors = engine.train_epoch(1)

    assert loss_sum == pytest.approx(7 * loss.item(), rel=1e-4)
    assert errors == (outputs.argmax(1) != labels).sum()
    for before, after in zip(reference.parameters(), engine._network.parameters(), strict=True):
        torch.testing.assert_close(before - 0.001 * before.grad, after, rtol=1e-3, atol=1e-6)


def test_the_network_is_that_of_cntks_example():
    """Only the first convolution is padded, and rectification comes before pooling."""
    network = torch_network().eval()
    state = network.state_dict()
    images = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8)

    def layer(hidden, name, padding=0):
        return functional.conv2d(
            hidden, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding
        ).relu()

    hidden = functional.max_pool2d(layer(images / 256, "conv1", padding=2), 3, 2)
    hidden = functional.max_pool2d(layer(hidden, "conv2"), 3, 2)
    hidden = layer(hidden, "conv3").flatten(1)
    hidden = (hidden @ state["dense4.weight"].T + state["dense4.bias"]).relu()
    expected = hidden @ state["dense5.weight"].T + state["dense5.bias"]

    assert [len(state[f"conv{number}.weight"]) for number in (1, 2, 3)] == [32, 48, 64]
    assert state["dense4.weight"].shape == (96, 576)
    torch.testing.assert_close(expected, network(images))


def test_a_seed_gives_the_same_network(samples):
    """Order, dropout and first weights follow from the seed alone."""

    def trained(seed):
        engine = TorchEngine(samples, 16, seed, "cpu")
        result = engine.train_epoch(1)
        return result, torch.cat([weights.flatten() for weights in engine._network.parameters()])

    (first, weights), (again, same), (other, _) = trained(1), trained(1), trained(2)

    assert first == again
    assert torch.equal(weights, same)
    assert first != other


def test_errors_are_counted_over_all_samples(samples):
    """Testing goes through all samples in several batches and changes nothing."""
    many = Samples(np.tile(samples.images, (25, 1)), np.tile(samples.labels, 25))
    engine = TorchEngine(samples, 64, 1, "cpu")

    assert engine.count_errors(many) == 25 * engine.count_errors(samples)


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
    """Each model can be loaded into the network, and nothing else is left in the folder."""
    run("--epochs", "2", models=tmp_path / "new" / "models")

    models = sorted((tmp_path / "new" / "models").iterdir())
    assert [path.name for path in models] == ["ConvNet_MNIST_0.pt", "ConvNet_MNIST_1.pt"]
    for model in models:
        torch_network().load_state_dict(torch.load(model, weights_only=True))


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
    assert line.startswith(f"{folder / 'ConvNet_MNIST_0.pt'}: the model cannot be saved: ")
    assert [path.name for path in folder.iterdir()] == ["ConvNet_MNIST_0.pt"]


def test_a_loss_without_bounds_ends_the_training(failure, data_folder):
    """A network that has lost itself is neither saved nor trained further."""
    text = (data_folder / TRAIN_FILE).read_text()
    bright = re.sub(r"features \S+ \S+", "features 3e38 -3e38", text, count=1)
    (data_folder / TRAIN_FILE).write_text(bright)

    status, line = failure("--epochs", "3")

    assert status == 1
    assert line.startswith("the loss of epoch 1 is nan; try a smaller --minibatch-size")


def test_an_engine_that_is_not_installed_is_named(failure, monkeypatch):
    """The error tells what each engine lacks and what to install."""
    monkeypatch.setitem(sys.modules, "cntk", None)
    monkeypatch.setitem(sys.modules, "torch", None)

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


def test_the_script_keeps_to_the_python_of_cntks_images():
    """CNTK's container images have CPython 3.5, which reads none of these."""
    tree = ast.parse(TRAINING_SCRIPT.read_text())
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Match, ast.AsyncFunctionDef)

    assert [node.lineno for node in ast.walk(tree) if isinstance(node, newer)] == []
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert all(not node.args.posonlyargs and not node.args.kwonlyargs for node in functions)
    assert "from __future__" not in TRAINING_SCRIPT.read_text()
