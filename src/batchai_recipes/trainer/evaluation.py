"""Checking a trained model against a file of labelled images, with ONNX Runtime.

NumPy and ONNX Runtime are an extra of this package, so what needs them is imported by the calls.
"""
# ruff: noqa: PLC0415 -- see above

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import frozen

from batchai_recipes.trainer.convnet.errors import InputError
from batchai_recipes.trainer.errors import DataError
from batchai_recipes.trainer.prepare import TEST_FILE

if TYPE_CHECKING:
    import onnxruntime
    from numpy.typing import NDArray

    from batchai_recipes.trainer.convnet.samples import Samples

MODEL_FILE: Final = "ConvNet_MNIST.onnx"
"""What the training program calls the model that it writes in the end."""

# As many images at once as keep the processor's caches warm, where the model takes any number.
_BATCH: Final = 500
_ERRORS_ONLY: Final = 3  # of ONNX Runtime's log levels: CNTK's models make it warn of their form


@frozen(eq=False)
class Evaluation:
    """What a model made of labelled images.

    Args:
        samples: The images and the digits that they show.
        found: The digit that the model took each image for.
    """

    samples: "Samples"
    found: "NDArray[Any]"

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(self.found)

    @property
    def mistakes(self) -> "NDArray[Any]":
        """The numbers of the images, from 0, that the model took for another digit."""
        return cast("NDArray[Any]", (self.found != self.samples.labels).nonzero()[0])


def evaluate(model: Path, data: Path) -> Evaluation:
    """Let a model read labelled images.

    Args:
        model: An ONNX file whose input are images N x 1 x 28 x 28 of grey levels, N any number or a
            fixed one, and whose output is N x 10; or a folder with ``ConvNet_MNIST.onnx``.
        data: A file in CNTK's text format, or a folder with ``Test-28x28_cntk_text.txt``.

    Returns:
        What the model made of each image.

    Raises:
        DataError: A file is missing or is not of its kind, or ONNX Runtime is not installed.
    """
    images = data / TEST_FILE if data.is_dir() else data
    if not images.is_file():
        raise DataError(
            f"{images}: there is no such file; `batchai-recipes data` writes one, "
            "and a quickstart leaves its own in mnist-ctf or digits-ctf of its cache"
        )
    try:
        from batchai_recipes.trainer.convnet.sample_cache import read_samples

        samples = read_samples(images)
        session = _session(model / MODEL_FILE if model.is_dir() else model)
    except ImportError as error:
        raise DataError(
            "evaluating a model needs NumPy and ONNX Runtime: "
            f'pip install "batchai-recipes[trainer]" ({error})'
        ) from error
    except InputError as error:
        raise DataError(str(error)) from error
    return Evaluation(samples, _found(session, samples))


def _session(path: Path) -> "onnxruntime.InferenceSession":
    # It would report to Microsoft what it runs, and keep files for that in the user's home.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    if not path.is_file():
        raise DataError(f"{path}: there is no such file; name the .onnx file of a trained model")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    except Exception as error:
        # Its errors have no class in common but this one.
        reason = str(error).rpartition(":")[2].strip()
        raise DataError(f"{path}: not a model that ONNX Runtime can run: {reason}") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shapes = [list(value.shape) for value in (*inputs, *outputs)]
    if len(shapes) != 2 or shapes[0][1:] != [1, 28, 28] or shapes[1][1:] != [10]:  # noqa: PLR2004 -- the shapes of MNIST
        raise DataError(
            f"{path}: takes and gives arrays of {' and '.join(map(str, shapes))}, "
            "not N x 1 x 28 x 28 and N x 10: it is another network's"
        )
    return session


def _found(session: "onnxruntime.InferenceSession", samples: "Samples") -> "NDArray[Any]":
    import numpy as np

    (model_input,) = session.get_inputs()
    fixed = model_input.shape[0]
    size = fixed if isinstance(fixed, int) else _BATCH
    found = np.empty(len(samples), dtype=np.int64)
    for start, images in _batches(samples, size):
        # A model for a fixed number of images gets black ones after the last.
        rows = np.zeros((size if isinstance(fixed, int) else len(images), 784), np.float32)
        rows[: len(images)] = images
        logits = session.run(None, {model_input.name: rows.reshape(-1, 1, 28, 28)})[0]
        found[start : start + len(images)] = np.asarray(logits).argmax(1)[: len(images)]
    return found


def _batches(samples: "Samples", size: int) -> Iterator[tuple[int, "NDArray[Any]"]]:
    for start in range(0, len(samples), size):
        yield start, samples.images[start : start + size]
