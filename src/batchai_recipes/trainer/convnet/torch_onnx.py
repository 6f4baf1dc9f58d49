"""The network as an ONNX file.

The graph is written with ONNX's own package: PyTorch's exporter would need three packages more and
take as long as half an epoch, for thirteen nodes.
"""

from pathlib import Path
from typing import Any

import torch

from .samples import CLASSES, SIDE

OPSET = 17
# The oldest version of the format that has that opset, so that older readers can read it.
IR_VERSION = 8

_POOLING = {"kernel_shape": [3, 3], "strides": [2, 2]}
_CONVOLUTION = {"kernel_shape": [3, 3]}
_PADDED = {"kernel_shape": [5, 5], "pads": [2, 2, 2, 2]}
_DENSE = {"transB": 1}

# Operator, its attributes, and the layer whose weight and bias it takes.
_NODES: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("Conv", _PADDED, "conv1"),
    ("MaxPool", _POOLING, ""),
    ("Relu", {}, ""),
    ("Conv", _CONVOLUTION, "conv2"),
    ("MaxPool", _POOLING, ""),
    ("Relu", {}, ""),
    ("Conv", _CONVOLUTION, "conv3"),
    ("Relu", {}, ""),
    ("Flatten", {}, ""),
    ("Gemm", _DENSE, "dense4"),
    ("Relu", {}, ""),
    ("Gemm", _DENSE, "dense5"),
)


def export_onnx(network: torch.nn.Module, path: Path) -> None:
    """Write a network as ONNX; it takes ``images``, N x 1 x 28 x 28, and gives ``logits``, N x 10.

    Args:
        network: A :class:`ConvNet`.
        path: The file.

    Raises:
        ImportError: The package ``onnx`` is not installed.
    """
    import onnx  # noqa: PLC0415 -- a node may lack it, and only this needs it
    from onnx import helper, numpy_helper  # noqa: PLC0415 -- likewise

    parameters = {
        name: numpy_helper.from_array(tensor.cpu().contiguous().numpy(), name)
        for name, tensor in network.state_dict().items()
    }
    scale = helper.make_tensor("scale", onnx.TensorProto.FLOAT, [], [1 / 256])
    nodes = [helper.make_node("Mul", ["images", "scale"], ["scaled"])]
    for number, (operator, attributes, layer) in enumerate(_NODES, start=1):
        inputs = [nodes[-1].output[0], *([f"{layer}.weight", f"{layer}.bias"] if layer else [])]
        output = "logits" if number == len(_NODES) else f"{operator.lower()}{number}"
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
    images = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["N", 1, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["N", CLASSES])
    graph = helper.make_graph(
        nodes, "ConvNet_MNIST", [images], [logits], [scale, *parameters.values()]
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
