"""Tests of `batchai_recipes.trainer.evaluation`."""

import sys

import numpy as np
import pytest

from batchai_recipes.trainer.errors import DataError

onnx = pytest.importorskip("onnx", reason="the extra `trainer` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `trainer` is not installed")

from batchai_recipes.trainer.ctf import write_ctf  # noqa: E402 - needs NumPy
from batchai_recipes.trainer.evaluation import MODEL_FILE, evaluate  # noqa: E402 - likewise
from batchai_recipes.trainer.prepare import TEST_FILE  # noqa: E402 - likewise


def write_model(path, images=("N", 1, 28, 28), classes=10):
    """Write a model that takes an image for the digit whose pixel is the brightest."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    count = images[0]
    weights = np.eye(784 * images[1], classes, dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["images"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        "brightest",
        [helper.make_tensor_value_info("images", kind, images)],
        [helper.make_tensor_value_info("logits", kind, [count, classes])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())


@pytest.fixture
def data(tmp_path):
    """A test file whose images show their digits, but for the fourth and the last."""
    labels = np.arange(1203) % 10
    images = np.zeros((len(labels), 784), np.uint8)
    images[np.arange(len(labels)), labels] = 255
    labels[[3, 1202]] = [9, 0]
    write_ctf(tmp_path / TEST_FILE, images, labels.astype(np.uint8))
    return tmp_path / TEST_FILE


@pytest.mark.parametrize("count", ["N", 1, 7])
def test_mistakes_are_found(tmp_path, data, count):
    """Whatever number of images the model takes at once: CNTK's models take one."""
    write_model(tmp_path / "model.onnx", (count, 1, 28, 28))

    evaluation = evaluate(tmp_path / "model.onnx", data)

    assert evaluation.count == 1203
    assert evaluation.mistakes.tolist() == [3, 1202]
    assert evaluation.found[[3, 1202]].tolist() == [3, 2]


def test_folders_may_be_named(tmp_path, data):
    """Those that a job's model was downloaded to, and that the data were prepared in."""
    write_model(tmp_path / MODEL_FILE)

    assert evaluate(tmp_path, data.parent).count == 1203


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "there is no such file; name the .onnx file of a trained model"),
        (b"", "not a model that ONNX Runtime can run"),
        (b"hello", "not a model that ONNX Runtime can run: Protobuf parsing failed"),
    ],
)
def test_a_file_that_is_no_model_is_named(tmp_path, data, content, complaint):
    """And what is wrong with it."""
    model = tmp_path / "model.onnx"
    if content is not None:
        model.write_bytes(content)

    with pytest.raises(DataError, match=f"model.onnx: {complaint}"):
        evaluate(model, data)


@pytest.mark.parametrize(("images", "classes"), [(("N", 3, 28, 28), 10), (("N", 1, 28, 28), 5)])
def test_another_networks_model_is_told(tmp_path, data, images, classes):
    """By what it takes and gives."""
    write_model(tmp_path / "model.onnx", images, classes)

    with pytest.raises(DataError, match="it is another network's"):
        evaluate(tmp_path / "model.onnx", data)


def test_data_that_are_not_there_are_named(tmp_path):
    """With what makes them."""
    with pytest.raises(
        DataError, match="nowhere.txt: there is no such file; `batchai-recipes data`"
    ):
        evaluate(tmp_path / "model.onnx", tmp_path / "nowhere.txt")


def test_the_error_without_the_extra_says_what_to_install(tmp_path, data, monkeypatch):
    """Who installed only the library learns of its extra."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(DataError, match=r'pip install "batchai-recipes\[trainer\]"'):
        evaluate(tmp_path / "model.onnx", data)
