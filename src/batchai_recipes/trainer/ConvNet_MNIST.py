"""Train the convolutional network of CNTK's MNIST example, with CNTK or with PyTorch.

This file is uploaded to a file share alone and run there::

    python ConvNet_MNIST.py DATA_DIR MODEL_DIR [--epochs 40] [--minibatch-size 64] [--seed 1]
                            [--engine auto|cntk|torch] [--device auto|cpu|cuda]

It reads ``Train-28x28_cntk_text.txt`` and ``Test-28x28_cntk_text.txt`` from DATA_DIR, writes one
model per epoch to MODEL_DIR, counted from 0 (``ConvNet_MNIST_0.dnn`` by CNTK, a state dictionary
``ConvNet_MNIST_0.pt`` by PyTorch), and prints each line of its progress once, to standard output.

It leaves with 0 when it has trained, with 2 when it was given something that it cannot use, and
with 1 when anything else went wrong.

Source:
    Network, schedule and file format are those of ``ConvNet_MNIST.py`` in CNTK's examples,
    https://github.com/microsoft/CNTK/tree/master/Examples/Image/Classification/ConvNet/Python
"""

# CNTK's last releases run on CPython 3.5 and 3.6 only (its container images have 3.5), so this one
# file keeps to what 3.5 can read: str.format, typing.List, no annotated variables, no trailing
# comma after a keyword-only parameter. Hence not these rules, which ask for newer Python:
# ruff: noqa: UP006, UP007, UP032, UP035, UP045
# The name is the one that Batch AI's recipes run; a script prints; and CNTK and PyTorch are
# imported where they are used, because nobody has both:
# ruff: noqa: N999, T201, PLC0415

import argparse
import ctypes
import importlib
import math
import os
import platform
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Iterator, List, Optional, Tuple, Union

try:
    import numpy as np
except ImportError as missing:
    raise SystemExit("ConvNet_MNIST.py needs NumPy: pip install numpy") from missing

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

TRAINING_FILE = "Train-28x28_cntk_text.txt"
TEST_FILE = "Test-28x28_cntk_text.txt"

SIDE = 28
PIXELS = SIDE * SIDE
CLASSES = 10
BRIGHTEST = 255
TOO_BRIGHT = 999

TEST_BATCH = 1000

# Lines are read in blocks of about this many bytes: small enough for the processor's cache.
BLOCK_BYTES = 1 << 20
# A line of 794 numbers is far shorter; anything longer is no line of text.
LONGEST_LINE = 1 << 20


class TrainingError(Exception):
    """The training cannot go on; the text is one line for the person who started it."""

    exit_code = 1


class InputError(TrainingError):
    """Something given to the script cannot be used."""

    exit_code = 2


class Samples:
    """Images with what they show.

    Args:
        images: One row of 784 grey levels, 0 to 255, per image.
        labels: The digit, 0 to 9, of each image.
    """

    def __init__(self, images: "NDArray[Any]", labels: "NDArray[Any]") -> None:
        self.images = images
        self.labels = labels

    def __len__(self) -> int:
        """Return how many images there are."""
        return len(self.labels)


# --- the schedule, counted in samples -------------------------------------------------------------


def learning_rate_per_sample(epoch: int) -> float:
    """Return the learning rate of an epoch (from 1) for the gradient of one sample.

    Example:
        >>> [learning_rate_per_sample(epoch) for epoch in (1, 10, 11, 20, 21, 40)]
        [0.001, 0.001, 0.0005, 0.0005, 0.0001, 0.0001]
    """
    if epoch <= 10:  # noqa: PLR2004 -- the schedule is best read here
        return 0.001
    return 0.0005 if epoch <= 20 else 0.0001  # noqa: PLR2004 -- as above


def momentum_time_constant(epoch: int) -> int:
    """Return after how many samples of an epoch (from 1) a gradient has decayed to 1/e.

    Example:
        >>> [momentum_time_constant(epoch) for epoch in (1, 5, 6, 40)]
        [0, 0, 1024, 1024]
    """
    return 0 if epoch <= 5 else 1024  # noqa: PLR2004 -- the schedule is best read here


def momentum(epoch: int, minibatch_size: int) -> float:
    """Return the share of the past that one minibatch of an epoch (from 1) keeps.

    Example:
        >>> momentum(5, 64), round(momentum(6, 64), 6)
        (0.0, 0.939413)
    """
    time_constant = momentum_time_constant(epoch)
    return math.exp(-minibatch_size / time_constant) if time_constant else 0.0


# --- reading CNTK's text format -------------------------------------------------------------------


def read_ctf(path: Path) -> Samples:
    """Read a file of labelled images in CNTK's text format.

    Args:
        path: The file. Each line is ``|labels`` with ten numbers, a single 1 among 0s, and
            ``|features`` with 784 numbers, in either order.

    Returns:
        The samples in the order of the file; the images are bytes where all grey levels are whole
        numbers from 0 to 255.

    Raises:
        InputError: The file cannot be read, or a line of it is not of that form.
    """
    images = []  # type: List[NDArray[Any]]
    labels = []  # type: List[NDArray[Any]]
    line = 1
    try:
        with path.open("rb") as file:
            for block in _blocks_of_lines(file, path):
                samples = _parse_regular(block)
                if samples is None:
                    samples = _parse_lines(block, path, line)
                images.append(samples.images)
                labels.append(samples.labels)
                line += block.count(b"\n")
    except OSError as error:
        raise InputError("{}: {}".format(path, error.strerror or error)) from None
    if not any(len(some) for some in labels):
        raise InputError("{}: the file holds no samples".format(path))
    return Samples(np.concatenate(images), np.concatenate(labels))


def _blocks_of_lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    lines_before = 0
    while True:
        block = file.read(BLOCK_BYTES)
        if not block:
            return
        if not block.endswith(b"\n"):
            rest = file.readline(LONGEST_LINE)
            if len(rest) == LONGEST_LINE and not rest.endswith(b"\n"):
                number = lines_before + block.count(b"\n") + 1
                raise InputError("{}, line {}: no end of the line found".format(path, number))
            block += rest
        if not block.endswith(b"\n"):
            block += b"\n"
        lines_before += block.count(b"\n")
        yield block


def _parse_regular(block: bytes) -> Optional[Samples]:
    """Parse lines as data preparation writes them; None for lines that need a closer look."""
    text = np.frombuffer(block, dtype=np.uint8).copy()
    line_ends = np.flatnonzero(text == ord("\n"))
    fields = _blank_names(text, line_ends)
    if fields is None:
        return None
    last, values = _small_numbers(text)
    rows, per_row = len(line_ends), CLASSES + PIXELS
    expected = per_row * np.arange(1, rows + 1)
    # How many numbers stand before the end of each line, and before its second field.
    before_end = np.searchsorted(last, line_ends)
    before_features = np.searchsorted(last, fields[1::2])
    if (before_end != expected).any() or (before_features != expected - PIXELS).any():
        return None
    table = values.reshape(rows, per_row)
    choice, images = table[:, :CLASSES], table[:, CLASSES:]
    if (choice.max(1) != 1).any() or (choice.sum(1) != 1).any() or images.max() > BRIGHTEST:
        return None
    return Samples(images.astype(np.uint8), choice.argmax(1).astype(np.int64))


def _blank_names(text: "NDArray[Any]", line_ends: "NDArray[Any]") -> Optional["NDArray[Any]"]:
    """Overwrite names and line ends by spaces; return where fields began, None if not as usual."""
    fields = np.flatnonzero(text == ord("|"))
    if len(fields) != 2 * len(line_ends):
        return None
    for starts, name in ((fields[0::2], b"|labels "), (fields[1::2], b"|features ")):
        if starts[-1] + len(name) > len(text):
            return None
        where = starts[:, np.newaxis] + np.arange(len(name))
        if (text[where] != np.frombuffer(name, dtype=np.uint8)).any():
            return None
        text[where] = ord(" ")
    text[line_ends] = ord(" ")
    return fields


def _small_numbers(text: "NDArray[Any]") -> Tuple["NDArray[Any]", "NDArray[Any]"]:
    """Find the whole numbers between spaces: where each ends, and its value.

    Each is found by its last digit and may have three, so that a few passes over the bytes do and
    no loop over the numbers. Whatever is not of that kind gets a value that no image has.
    """
    is_digit = (text - ord("0")) <= 9  # noqa: PLR2004 -- bytes below "0" wrap round to above 9
    last = np.flatnonzero(is_digit[:-1] & ~is_digit[1:])
    # The block began with the name of a field, so every number has spaces before it.
    has_tens = is_digit[last - 1]
    has_hundreds = is_digit[last - 2] & has_tens
    digits = text & 15
    values = digits[last].astype(np.uint16)
    values += digits[last - 1] * has_tens * 10
    values += (digits[last - 2] * has_hundreds).astype(np.uint16) * 100
    values[is_digit[last - 3] & has_hundreds] = TOO_BRIGHT
    if not (is_digit | (text == ord(" "))).all():
        values[:] = TOO_BRIGHT
    return last, values


def _parse_lines(block: bytes, path: Path, first_line: int) -> Samples:
    images = []  # type: List[NDArray[Any]]
    labels = []  # type: List[int]
    for number, line in enumerate(block.split(b"\n"), start=first_line):
        if not line.strip():
            continue
        try:
            image, label = _parse_line(line.decode("ascii", "backslashreplace"))
        except ValueError as error:
            raise InputError("{}, line {}: {}".format(path, number, error)) from None
        images.append(image)
        labels.append(label)
    if not images:
        return Samples(np.empty((0, PIXELS), dtype=np.uint8), np.empty(0, dtype=np.int64))
    return Samples(np.stack(images), np.array(labels, dtype=np.int64))


def _parse_line(line: str) -> Tuple["NDArray[Any]", int]:
    fields = {}
    # What stands before the first bar is the number of a sequence, which means nothing here.
    for field in line.split("|")[1:]:
        name, *values = field.split() or [""]
        if name.startswith("#"):
            continue
        if name in fields:
            raise ValueError("the field |{} stands there twice".format(_short(name)))
        fields[name] = values
    parsed = []
    for name, count in (("labels", CLASSES), ("features", PIXELS)):
        if name not in fields:
            raise ValueError("the field |{} is missing".format(name))
        if len(fields[name]) != count:
            message = "{} values in |{}, expected {}"
            raise ValueError(message.format(len(fields[name]), name, count))
        parsed.append(np.array([_number(text) for text in fields[name]], dtype=np.float32))
    choice, image = parsed
    if (np.sort(choice) != np.array([0] * (CLASSES - 1) + [1])).any():
        raise ValueError("the values in |labels are not a single 1 and otherwise 0")
    return image, int(choice.argmax())


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("{} is not a number".format(_short(repr(text)))) from None
    if not math.isfinite(number):
        raise ValueError("{} is not a finite number".format(text))
    return number


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:27] + "..."  # noqa: PLR2004 -- fits a line


# --- PyTorch --------------------------------------------------------------------------------------


class TorchEngine:
    """The network, trained by PyTorch.

    On a CPU the same seed and number of threads give the same network.

    Args:
        training: The samples to learn.
        minibatch_size: After how many samples the network is changed.
        seed: Where the random numbers start.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ImportError: PyTorch is not installed.
        InputError: The device does not exist.
    """

    suffix = ".pt"

    def __init__(self, training: Samples, minibatch_size: int, seed: int, device: str) -> None:
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            raise InputError("--device cuda: PyTorch {} finds none".format(torch.__version__))
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu":
            _keep_freed_memory()
        torch.manual_seed(seed)
        self._device = torch.device(device)
        self._minibatch_size = minibatch_size
        self._images = self._on_device(training.images)
        self._labels = torch.from_numpy(training.labels).to(self._device)
        # Channels last makes pooling several times faster on a CPU, and suits tensor cores.
        self._network = torch_network().to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload] # torch lacks this overload
        self._optimizer = torch.optim.SGD(self._network.parameters(), lr=0.001)

    def describe(self) -> str:
        """Return the engine and its device in words."""
        import torch

        if self._device.type == "cuda":
            where = "cuda, {}".format(torch.cuda.get_device_name(self._device))
        else:
            where = "cpu, {} threads".format(torch.get_num_threads())
        return "PyTorch {}, device: {}".format(torch.__version__, where)

    def train_epoch(self, epoch: int) -> Tuple[float, int]:
        """Learn every sample once, in random order.

        Args:
            epoch: Which epoch of the schedule this is, from 1.

        Returns:
            The sum of the losses of all samples, and how many were taken for another digit.
        """
        import torch

        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate_per_sample(epoch)
            # CNTK averages gradients, so that momentum does not add to the rate ("unit gain").
            group["momentum"] = group["dampening"] = momentum(epoch, self._minibatch_size)
        self._network.train()
        order = torch.randperm(len(self._labels)).to(self._device)
        # The sums stay on the device: asking for one in each step would wait for the device there.
        loss_sum = torch.zeros((), dtype=torch.float64, device=self._device)
        errors = torch.zeros((), dtype=torch.int64, device=self._device)
        for start in range(0, len(order), self._minibatch_size):
            batch = order[start : start + self._minibatch_size]
            labels = self._labels[batch]
            outputs = self._network(self._images[batch])
            # The sum, not the mean, because the rate is per sample; so a short last minibatch
            # counts for what it is.
            loss = torch.nn.functional.cross_entropy(outputs, labels, reduction="sum")
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # untyped in torch
            self._optimizer.step()
            loss_sum += loss.detach()
            errors += (outputs.detach().argmax(1) != labels).sum()
        return float(loss_sum), int(errors)

    def count_errors(self, samples: Samples) -> int:
        """Return how many samples the network takes for another digit."""
        import torch

        self._network.eval()
        errors = 0
        with torch.no_grad():
            for start in range(0, len(samples), TEST_BATCH):
                images = self._on_device(samples.images[start : start + TEST_BATCH])
                labels = torch.from_numpy(samples.labels[start : start + TEST_BATCH])
                found = self._network(images).argmax(1).cpu()
                errors += int((found != labels).sum())
        return errors

    def save(self, path: str) -> None:
        """Write the parameters of the network, as CPU tensors, to a file."""
        import torch

        state = {name: tensor.cpu() for name, tensor in self._network.state_dict().items()}
        torch.save(state, path)

    def _on_device(self, images: "NDArray[Any]") -> "torch.Tensor":
        import torch

        return torch.from_numpy(images).reshape(-1, 1, SIDE, SIDE).to(self._device)


def torch_network() -> "torch.nn.Module":
    """Return a new network of PyTorch, which takes images N x 1 x 28 x 28 of grey levels.

    Raises:
        ImportError: PyTorch is not installed.
    """
    import torch
    from torch.nn import functional

    class ConvNet(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = torch.nn.Conv2d(1, 32, 5, padding=2)
            self.conv2 = torch.nn.Conv2d(32, 48, 3)
            self.conv3 = torch.nn.Conv2d(48, 64, 3)
            self.dense4 = torch.nn.Linear(64 * 3 * 3, 96)
            self.dense5 = torch.nn.Linear(96, CLASSES)
            for layer in (self.conv1, self.conv2, self.conv3, self.dense4, self.dense5):
                weight, *bias = layer.parameters()
                torch.nn.init.xavier_uniform_(weight)
                torch.nn.init.zeros_(bias[0])

        def forward(self, images: "torch.Tensor") -> "torch.Tensor":
            hidden = images.float() * (1 / 256)
            # The largest of rectified values is the rectified largest value, and pooling first
            # leaves a quarter of the values to rectify.
            hidden = functional.max_pool2d(self.conv1(hidden), 3, 2).relu()
            hidden = functional.max_pool2d(self.conv2(hidden), 3, 2).relu()
            hidden = self.conv3(hidden).relu().flatten(1)
            hidden = functional.dropout(self.dense4(hidden).relu(), 0.5, self.training)
            return self.dense5(hidden)  # type: ignore[no-any-return] # modules are untyped calls

    return ConvNet()


def _keep_freed_memory() -> None:
    """Tell glibc to keep what a step frees for the next step.

    It would hand blocks of several MB back to the kernel and fault them in again in every step,
    which costs a tenth to a quarter of the time of a step.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, mmap_threshold = -1, -3  # from malloc.h
    library = ctypes.CDLL(None)
    library.mallopt(mmap_threshold, 1 << 30)
    library.mallopt(trim_threshold, (1 << 31) - 1)


# --- CNTK -----------------------------------------------------------------------------------------


class CntkEngine:
    """The network, trained by CNTK 2.

    Args:
        training: The samples to learn.
        minibatch_size: After how many samples the network is changed.
        seed: Where the random numbers start.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ImportError: CNTK is not installed, or a library it needs is missing.
        InputError: The device does not exist.
    """

    suffix = ".dnn"

    def __init__(self, training: Samples, minibatch_size: int, seed: int, device: str) -> None:
        cntk = _import_cntk()
        if device == "cpu":
            cntk.device.try_set_default_device(cntk.device.cpu())
        elif device == "cuda":
            if len(cntk.device.all_devices()) == 1:  # the CPU
                raise InputError("--device cuda: CNTK {} finds none".format(cntk.__version__))
            cntk.device.try_set_default_device(cntk.device.gpu(0))
        cntk.cntk_py.set_fixed_random_seed(seed)
        self._random = np.random.RandomState(seed)
        self._training = training
        self._minibatch_size = minibatch_size
        self._images = cntk.input_variable((1, SIDE, SIDE), np.float32)
        self._labels = cntk.input_variable(CLASSES, np.float32)
        self._network = _cntk_network(cntk, self._images)
        # CNTK holds the last value of a list for ever; the lists reach behind the last change.
        epochs = range(1, 22)
        # These two functions, unlike those that replaced them in 2.2, exist in every CNTK 2.
        rate = cntk.learners.learning_rate_schedule(
            [learning_rate_per_sample(epoch) for epoch in epochs],
            cntk.learners.UnitType.sample,
            len(training),
        )
        time_constant = cntk.learners.momentum_as_time_constant_schedule(
            [momentum_time_constant(epoch) for epoch in epochs], len(training)
        )
        learner = cntk.learners.momentum_sgd(self._network.parameters, rate, time_constant)
        loss = cntk.cross_entropy_with_softmax(self._network, self._labels)
        error = cntk.classification_error(self._network, self._labels)
        self._trainer = cntk.Trainer(self._network, (loss, error), [learner])

    def describe(self) -> str:
        """Return the engine and its device in words."""
        cntk = _import_cntk()
        on_cpu = cntk.device.use_default_device().type() == cntk.device.DeviceKind.CPU
        return "CNTK {}, device: {}".format(cntk.__version__, "cpu" if on_cpu else "cuda")

    def train_epoch(self, epoch: int) -> Tuple[float, int]:
        """Learn every sample once, in random order.

        Args:
            epoch: Which epoch this is; CNTK counts the samples of its schedule itself.

        Returns:
            The sum of the losses of all samples, and how many were taken for another digit.
        """
        del epoch
        loss_sum = 0.0
        errors = 0.0
        order = self._random.permutation(len(self._training))
        for start in range(0, len(order), self._minibatch_size):
            batch = order[start : start + self._minibatch_size]
            self._trainer.train_minibatch(self._arguments(self._training, batch))
            loss_sum += self._trainer.previous_minibatch_loss_average * len(batch)
            errors += self._trainer.previous_minibatch_evaluation_average * len(batch)
        return loss_sum, round(errors)

    def count_errors(self, samples: Samples) -> int:
        """Return how many samples the network takes for another digit."""
        errors = 0.0
        for start in range(0, len(samples), TEST_BATCH):
            batch = np.arange(start, min(start + TEST_BATCH, len(samples)))
            errors += self._trainer.test_minibatch(self._arguments(samples, batch)) * len(batch)
        return round(errors)

    def save(self, path: str) -> None:
        """Write the network to a file in CNTK's own format."""
        self._network.save(path)

    def _arguments(self, samples: Samples, batch: "NDArray[Any]") -> Any:
        images = samples.images[batch].astype(np.float32).reshape(-1, 1, SIDE, SIDE)
        labels = np.eye(CLASSES, dtype=np.float32)[samples.labels[batch]]
        return {self._images: images, self._labels: labels}


def _import_cntk() -> Any:
    with warnings.catch_warnings():
        # At import it warns of every newer Linux, and of the GPU libraries that a CPU needs not.
        warnings.simplefilter("ignore")
        return importlib.import_module("cntk")


def _cntk_network(cntk: Any, images: Any) -> Any:
    hidden = cntk.element_times(cntk.constant(1 / 256), images)
    with cntk.layers.default_options(activation=cntk.relu, pad=False):
        hidden = cntk.layers.Convolution2D((5, 5), 32, pad=True)(hidden)
        hidden = cntk.layers.MaxPooling((3, 3), (2, 2))(hidden)
        hidden = cntk.layers.Convolution2D((3, 3), 48)(hidden)
        hidden = cntk.layers.MaxPooling((3, 3), (2, 2))(hidden)
        hidden = cntk.layers.Convolution2D((3, 3), 64)(hidden)
        hidden = cntk.layers.Dense(96)(hidden)
        hidden = cntk.layers.Dropout(0.5)(hidden)
        return cntk.layers.Dense(CLASSES, activation=None)(hidden)


# --- the training ---------------------------------------------------------------------------------


def open_engine(
    name: str, training: Samples, minibatch_size: int, seed: int, device: str
) -> Union[CntkEngine, TorchEngine]:
    """Return the engine to train with.

    Args:
        name: ``cntk``, ``torch``, or ``auto`` for the first of the two that is installed.
        training: The samples to learn.
        minibatch_size: After how many samples the network is changed.
        seed: Where the random numbers start.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: No such engine is installed, or the device does not exist.
    """
    reasons = []
    for candidate, engine in (("cntk", CntkEngine), ("torch", TorchEngine)):
        if name in ("auto", candidate):
            try:
                return engine(training, minibatch_size, seed, device)
            except ImportError as error:
                reasons.append("{}: {}".format(candidate, str(error).strip().split("\n")[0]))
    message = "no engine to train with ({}); pip install torch"
    raise InputError(message.format("; ".join(reasons)))


def train(options: argparse.Namespace) -> None:
    """Read the data, train, save a model after each epoch, and test the last one.

    Raises:
        TrainingError: Any of this failed.
    """
    training = read_ctf(options.data_dir / TRAINING_FILE)
    test = read_ctf(options.data_dir / TEST_FILE)
    try:
        options.model_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("{}: {}".format(options.model_dir, error.strerror or error)) from None
    engine = open_engine(
        options.engine, training, options.minibatch_size, options.seed, options.device
    )
    say("Engine: {}".format(engine.describe()))
    say("Samples: {} for training, {} for testing".format(len(training), len(test)))
    for epoch in range(1, options.epochs + 1):
        started = time.perf_counter()
        result = engine.train_epoch(epoch)
        seconds = time.perf_counter() - started
        say(epoch_line(epoch, options.epochs, result, len(training), seconds))
        if not math.isfinite(result[0]):
            message = "the loss of epoch {} is {}; try a smaller --minibatch-size or another --seed"
            raise TrainingError(message.format(epoch, result[0]))
        # Counted from 0, as in CNTK's example.
        name = "ConvNet_MNIST_{}{}".format(epoch - 1, engine.suffix)
        save_model(engine, options.model_dir / name)
    errors = engine.count_errors(test)
    say("Final Results: errs = {:.2f}% * {}".format(100 * errors / len(test), len(test)))


def save_model(engine: Union[CntkEngine, TorchEngine], path: Path) -> None:
    """Save the model of an engine; a reader finds the whole file or none.

    Raises:
        TrainingError: It cannot be written.
    """
    temporary = path.with_name(".{}.{}.tmp".format(path.name, os.getpid()))
    try:
        engine.save(str(temporary))
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # both engines raise the latter for a full disk
        reason = str(error).strip().split("\n")[0]
        raise TrainingError("{}: the model cannot be saved: {}".format(path, reason)) from None
    finally:
        if temporary.exists():
            temporary.unlink()


def epoch_line(
    epoch: int, epochs: int, result: Tuple[float, int], samples: int, seconds: float
) -> str:
    """Return the line that reports an epoch, as CNTK's progress printer words it.

    Args:
        epoch: Which epoch it is, from 1.
        epochs: How many there will be.
        result: The sum of the losses of all samples, and how many were taken for another digit.
        samples: How many samples it learned.
        seconds: How long it took.

    Example:
        >>> epoch_line(1, 2, (12345.6, 1926), 60000, 7.125).partition(" = ")[2]
        '0.205760 * 60000, metric = 3.21% * 60000 7.125s (8421.1 samples/s)'
    """
    line = (
        "Finished Epoch[{} of {}]: [Training] loss = {:.6f} * {n}, "
        "metric = {:.2f}% * {n} {:.3f}s ({:.1f} samples/s)"
    )
    loss_sum, errors = result
    percent = 100 * errors / samples
    rate = samples / seconds
    return line.format(epoch, epochs, loss_sum / samples, percent, seconds, rate, n=samples)


def say(line: str) -> None:
    """Print a line that whoever follows the log sees at once."""
    print(line, flush=True)


def positive(text: str) -> int:
    """Return the whole number above 0 that an argument says."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("{} is not above 0".format(text))
    return number


def seed_number(text: str) -> int:
    """Return the whole number from 0 to 2**32 - 1 that an argument says."""
    number = int(text)
    if not 0 <= number < 1 << 32:
        raise argparse.ArgumentTypeError("{} is not from 0 to 2**32 - 1".format(text))
    return number


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the script and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="ConvNet_MNIST.py", description="Train a convolutional network to read digits."
    )
    for name, text in (("data_dir", "the two text files"), ("model_dir", "the models; made")):
        parser.add_argument(name, metavar=name.upper(), type=Path, help="the folder of " + text)
    parser.add_argument("--epochs", type=positive, default=40, help="default: 40")
    parser.add_argument("--minibatch-size", type=positive, default=64, help="default: 64")
    parser.add_argument("--seed", type=seed_number, default=1, help="default: 1")
    parser.add_argument("--engine", choices=("auto", "cntk", "torch"), default="auto")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    options = parser.parse_args(arguments)
    try:
        train(options)
    except TrainingError as error:
        print("{}: error: {}".format(parser.prog, error), file=sys.stderr, flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
