"""Tests of `batchai_recipes.trainer.convnet.torch_engine`."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from batchai_recipes.trainer.convnet import torch_engine  # noqa: E402 - needs PyTorch
from batchai_recipes.trainer.convnet.errors import InputError  # noqa: E402 - likewise
from batchai_recipes.trainer.convnet.samples import Samples  # noqa: E402 - likewise
from batchai_recipes.trainer.convnet.schedule import momentum, order_of  # noqa: E402 - likewise
from batchai_recipes.trainer.convnet.torch_engine import TorchEngine  # noqa: E402 - likewise
from batchai_recipes.trainer.convnet.torch_lanes import Lanes  # noqa: E402 - likewise
from batchai_recipes.trainer.convnet.torch_network import ConvNet  # noqa: E402 - likewise

pytestmark = pytest.mark.usefixtures("one_process")
functional = torch.nn.functional


@pytest.fixture(params=["float32", "bfloat16"])
def dtype(request, monkeypatch):
    """What a step is computed in, whatever this processor is best at; all of them can do both."""
    found = getattr(torch, request.param)
    monkeypatch.setattr(torch_engine, "_fastest_dtype", lambda _: found)
    return found


@pytest.mark.parametrize(("epoch", "rate"), [(1, 0.001), (6, 0.001), (11, 0.0005), (21, 0.0001)])
def test_pytorch_follows_the_schedule(samples, epoch, rate):
    """Momentum has unit gain, as in CNTK: what it keeps, the new gradient lacks."""
    engine = TorchEngine(samples, 100, 1, "cpu")
    engine._velocity.fill_(1)
    before = engine._lanes.weights.clone()
    past = momentum(epoch, 100)

    engine.train_epoch(epoch)

    velocity = past + (1 - past) * engine._lanes.gradients
    torch.testing.assert_close(velocity, engine._velocity)
    torch.testing.assert_close(before - rate * velocity, engine._lanes.weights)


def test_one_step_is_the_rate_times_the_sum_of_gradients(samples, dtype):
    """The learning rate is per sample: a minibatch of any size moves by the sum."""
    rounding = 1e-4 if dtype == torch.float32 else 2e-2
    few = Samples(samples.images[:7], samples.labels[:7])
    engine = TorchEngine(few, 64, 1, "cpu")
    reference = ConvNet()
    reference.load_state_dict(engine._network.state_dict())
    order = order_of(1, 1, 7)
    outputs = reference(
        torch.from_numpy(few.images[order]).reshape(-1, 1, 28, 28), engine._kept(1, 7).float()
    )
    labels = torch.from_numpy(few.labels)[order]
    loss = functional.cross_entropy(outputs, labels)
    (loss * 7).backward()

    loss_sum, errors = engine.train_epoch(1)

    assert loss_sum == pytest.approx(7 * loss.item(), rel=rounding)
    assert errors == (outputs.argmax(1) != labels).sum()
    for before, after in zip(reference.parameters(), engine._network.parameters(), strict=True):
        step = -0.001 * before.grad
        assert after.dtype == torch.float32
        # In bf16 another of two neighbours may be a pool's largest, and be given its gradient.
        assert (after - before - step).norm() < max(1e-3, 12 * rounding) * step.norm()


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


def test_dropout_keeps_half_and_doubles_it(samples):
    """Each epoch draws anew, and each process and each resumed training draws the same."""
    engine = TorchEngine(samples, 64, 1, "cpu")

    kept = engine._kept(1, 4000)

    assert set(kept.unique().tolist()) == {0, 2}
    assert kept.mean().item() == pytest.approx(1, abs=0.01)
    assert torch.equal(kept, engine._kept(1, 4000))
    assert not torch.equal(kept, engine._kept(2, 4000))


def test_a_saved_state_goes_on_as_if_nothing_had_happened(samples, tmp_path):
    """Weights, momentum, order and dropout: the next epochs are the same to the last bit."""
    undisturbed = TorchEngine(samples, 16, 1, "cpu")
    for epoch in (6, 7):
        undisturbed.train_epoch(epoch)
    undisturbed.save_state(tmp_path / "state")
    resumed = TorchEngine(samples, 16, 1, "cpu")
    resumed.load_state(tmp_path / "state")

    assert undisturbed.train_epoch(8) == resumed.train_epoch(8)
    weights = (undisturbed._network.state_dict(), resumed._network.state_dict())
    for one, other in zip(*(state.values() for state in weights), strict=True):
        assert torch.equal(one, other)


def test_a_state_that_does_not_fit_changes_nothing(samples, tmp_path):
    """A training that begins anew after it begins with its own weights."""
    engine = TorchEngine(samples, 16, 1, "cpu")
    before = [weights.clone() for weights in engine._network.parameters()]
    other = TorchEngine(samples, 16, 2, "cpu")
    state = {
        "network": other._network.state_dict(),
        "velocity": torch.ones(3),
    }
    torch.save(state, tmp_path / "state")

    with pytest.raises(RuntimeError, match="size"):
        engine.load_state(tmp_path / "state")

    assert all(map(torch.equal, before, engine._network.parameters()))


def test_an_onnx_file_gives_what_the_network_gives(samples, tmp_path):
    """For one image and for many."""
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    engine = TorchEngine(samples, 64, 1, "cpu")
    engine.train_epoch(1)
    engine.save_onnx(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")

    for count in (1, 9):
        images = samples.images[:count].reshape(-1, 1, 28, 28)
        (logits,) = session.run(["logits"], {"images": images.astype(np.float32)})
        expected = engine._network(torch.from_numpy(images)).detach().numpy()
        np.testing.assert_allclose(expected, logits, atol=1e-5)


def test_processes_that_cannot_meet_are_told(samples, monkeypatch):
    """With where they were to meet."""
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_PORT", "")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_ADDR", raising=False)

    with pytest.raises(InputError, match=r"the 2 processes cannot meet at \?:"):
        TorchEngine(samples, 64, 1, "cpu")


@pytest.mark.parametrize(
    ("variables", "threads"),
    [
        ({"MASTER_ADDR": "127.0.0.1"}, 1),
        ({"MASTER_ADDR": "localhost"}, 1),
        ({"MASTER_ADDR": "10.0.0.4"}, 4),
        ({"MASTER_ADDR": "10.0.0.4", "LOCAL_WORLD_SIZE": "2"}, 2),
        ({"MASTER_ADDR": "node1", "OMP_NUM_THREADS": "4"}, 4),
    ],
)
def test_processes_on_one_machine_share_its_processors(monkeypatch, variables, threads):
    """Unless the user said how many threads each has."""
    for name in ("OMP_NUM_THREADS", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        torch_engine._share_processors(4)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_lanes_learn_what_one_thread_does(samples, dtype):
    """Several threads with parts of each minibatch: the same but for rounding, time after time."""
    rounding = 1e-4 if dtype == torch.float32 else 1e-2

    def trained(threads):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            engine = TorchEngine(samples, 96, 1, "cpu")
            lanes = engine._lanes.count
            losses = [engine.train_epoch(epoch)[0] for epoch in (6, 7, 8)]
            engine.close()
        finally:
            torch.set_num_threads(before)
        return lanes, losses, engine._network.state_dict()

    one, several, again = trained(1), trained(3), trained(3)

    assert (one[0], several[0]) == (1, 3)
    assert one[1] == pytest.approx(several[1], rel=rounding)
    assert several[1] == again[1]
    for name, weights in several[2].items():
        assert (one[2][name] - weights).norm() < max(1e-5, 10 * rounding * weights.norm())
        assert torch.equal(weights, again[2][name])


def test_an_error_in_another_lane_is_raised():
    """When all lanes are done, so that none goes on with what the caller gave up."""
    lanes = Lanes(ConvNet(), torch.float32, 2, 64)
    parts = []

    def learn(_, part):
        parts.append(part)
        if part.start:
            raise RuntimeError("no memory")
        return torch.zeros(part.stop - part.start)

    with pytest.raises(RuntimeError, match="no memory"):
        lanes.learn(64, learn)
    assert sorted(part.start for part in parts) == [0, 32]
    lanes.close()


def test_an_error_in_the_first_lane_is_raised():
    """The others end their part first."""
    lanes = Lanes(ConvNet(), torch.float32, 2, 64)
    parts = []

    def learn(_, part):
        parts.append(part)
        if not part.start:
            raise RuntimeError("no memory")
        return torch.zeros(part.stop - part.start)

    with pytest.raises(RuntimeError, match="no memory"):
        lanes.learn(64, learn)
    lanes.close()
    assert sorted(part.start for part in parts) == [0, 32]


@pytest.mark.parametrize(("amx", "found"), [(True, "bfloat16"), (False, "float32")])
def test_bf16_is_for_processors_with_matrix_units(monkeypatch, amx, found):
    """Others are no faster with it, and less exact."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx}, raising=False)

    assert torch_engine._fastest_dtype(torch.device("cpu")) == getattr(torch, found)


def test_a_pytorch_that_cannot_tell_computes_in_single_precision(monkeypatch):
    """Before it told what the processor is capable of."""
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)

    assert torch_engine._fastest_dtype(torch.device("cpu")) == torch.float32


# One of two processes, the first without a part of the last minibatch: it trains and prints the
# names of the threads that are left.
RANK = """
import sys
from pathlib import Path
import numpy as np
from batchai_recipes.trainer.convnet.samples import Samples
from batchai_recipes.trainer.convnet.torch_engine import TorchEngine
few = Samples(np.zeros((9, 784), np.uint8), np.zeros(9, np.int64))
engine = TorchEngine(few, 4, 1, "cpu")
engine.train_epoch(1)
engine.close()
assert "torch.distributed.nn" not in sys.modules, "it keeps the group if it is imported late"
print([name.read_text().strip() for name in Path("/proc/self/task").glob("*/comm")])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted by Linux")
def test_no_thread_of_the_process_group_is_left(one_process):
    """One that is aborts the process now and then, when it ends."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK],
            env={**os.environ, **shared, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    printed = [rank.communicate()[0] for rank in ranks]

    assert [rank.returncode for rank in ranks] == [0, 0]
    for names in printed:
        assert "python" in names
        assert "gloo" not in names
