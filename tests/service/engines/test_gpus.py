"""Which GPUs there are, and which of them each node has."""

import ctypes
import sys

import pytest

from batchai_recipes.service.engines.gpus import NodeGpus, NodeShare, Nvml, visible_gpus
from batchai_recipes.service.engines.local import LocalEngine


class Driver:
    """Knows some GPUs."""

    def __init__(self, *uuids):
        self._uuids = uuids

    def uuids(self):
        """Return them."""
        return self._uuids


TWO = Driver("GPU-aaaa-1", "GPU-bbbb-2")


class Library:
    """NVIDIA's bindings, as far as they are used."""

    class NVMLError(Exception):
        """What they raise."""

    def __init__(self, uuids, *, broken=""):
        self._uuids = uuids
        self._broken = broken
        self.calls = []

    def __getattr__(self, name):
        def call(*arguments):
            self.calls.append(name)
            if name == self._broken:
                raise self.NVMLError(name)
            return {
                "nvmlDeviceGetCount": lambda: len(self._uuids),
                "nvmlDeviceGetHandleByIndex": lambda index: index,
                "nvmlDeviceGetUUID": lambda handle: self._uuids[handle],
            }.get(name, lambda: None)(*arguments)

        return call


class TestNvml:
    """NVIDIA's library, as it is and is not there."""

    def test_without_a_driver_there_are_no_gpus(self):
        """Whether or not the bindings are installed."""
        try:
            ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:
            assert Nvml().uuids() == ()
        else:
            pytest.skip("this machine has a driver")

    @pytest.fixture
    def library(self, monkeypatch):
        """Put a library in the place of the real one: ``library(uuids, broken=...)``."""

        def put(uuids, **options):
            made = Library(uuids, **options)
            monkeypatch.setattr("ctypes.CDLL", lambda _: None)
            monkeypatch.setitem(sys.modules, "pynvml", made)
            return made

        return put

    def test_every_gpu_has_its_uuid(self, library):
        """Releases before 11.5 of the bindings give bytes."""
        made = library([b"GPU-a", "GPU-b"])
        assert Nvml().uuids() == ["GPU-a", "GPU-b"]
        assert made.calls[-1] == "nvmlShutdown"

    @pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetUUID"])
    def test_a_driver_that_fails_has_no_gpus(self, library, call):
        """As when its module is not loaded."""
        library(["GPU-a"], broken=call)
        assert Nvml().uuids() == ()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ("0", "1")),
        ({"CUDA_VISIBLE_DEVICES": "1"}, ("1",)),
        ({"CUDA_VISIBLE_DEVICES": ""}, ()),
        ({"CUDA_VISIBLE_DEVICES": "GPU-bbbb,0,5"}, ("GPU-bbbb", "0")),
    ],
)
def test_gpus_are_those_that_cuda_shows(variables, expected):
    """CUDA_VISIBLE_DEVICES of the service limits them."""
    assert expected == visible_gpus(TWO, variables)


class TestNodes:
    """Nodes share the machine but no GPU."""

    @pytest.fixture
    def new_node(self, tmp_path):
        """Make the folder of a node."""
        return lambda name: (tmp_path / name).mkdir()

    def test_no_two_nodes_have_the_same(self, tmp_path, new_node):
        """Also those that another service gave out; what a node leaves is free again."""
        for name in ("a", "b", "c"):
            new_node(name)
        gpus = NodeGpus(tmp_path, ("0", "1", "2"))
        gpus.give("a", 2)
        gpus.give("a", 2)
        again = NodeGpus(tmp_path, ("0", "1", "2"))
        again.give("b", 2)
        assert again.of("a") == NodeShare(2, ("0", "1"))
        assert again.of("b") == NodeShare(2, ("2",))
        assert again.variables("b")["CUDA_VISIBLE_DEVICES"] == "2"
        (tmp_path / "a" / "gpus.json").unlink()
        again.forget("a")
        again.give("c", 1)
        assert again.of("c").devices == ("0",)

    def test_a_node_that_lacks_some_says_so(self, tmp_path, new_node):
        """One that has all it wants says nothing."""
        for name in ("a", "b"):
            new_node(name)
        gpus = NodeGpus(tmp_path, ("0",))
        gpus.give("a", 1)
        gpus.give("b", 4)
        assert gpus.shortage("a") == ()
        (line,) = gpus.shortage("b")
        assert line.startswith("node b has 0 of the 4 GPUs of its VM size: this machine shows 1")


def test_tasks_see_the_gpus_of_their_node(state, bell, new_task, end_of, output):
    """And a job's log says what its node lacks."""
    engine = LocalEngine(state, gpu_driver=TWO)
    engine.start(bell.ring)
    try:
        engine.prepare_node("other", (), gpu_count=1)
        engine.prepare_node("node", (), gpu_count=2)
        engine.prepare_job("uid", ("node", "other"), ())
        assert (engine.node("node").gpu_count, engine.node("other").gpu_count) == (1, 1)
        engine.launch(new_task("echo $CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER"))
        end_of(engine)
    finally:
        engine.stop()
    assert (output / "stdout.txt").read_text() == "1 PCI_BUS_ID\n"
    assert "node node has 1 of the 2 GPUs" in (output / "execution.log").read_text()


def test_gpus_that_are_a_nodes_own_are_nobody_elses(state, bell):
    """As where Ray has given them out, and a folder has nodes of several machines."""
    others = NodeGpus(state.nodes, ("0", "1"))
    (state.nodes / "other").mkdir()
    others.give("other", 2)
    environ = {"CUDA_VISIBLE_DEVICES": "1"}
    engine = LocalEngine(state, environ, gpu_driver=TWO, own_gpus=True)
    engine.start(bell.ring)
    try:
        engine.prepare_node("node", (), gpu_count=1)
        node = engine.node("node")
    finally:
        engine.stop()
    assert (node.gpu_count, node.environment["CUDA_VISIBLE_DEVICES"]) == (1, "1")
