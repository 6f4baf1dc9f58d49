"""Training with CNTK 2, in one process or in several that ``mpirun`` started."""

import importlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Tuple

import numpy as np

from .engine import TEST_BATCH, Engine
from .errors import InputError
from .processes import mpi_place
from .samples import CLASSES, SIDE, Samples
from .schedule import learning_rate_per_sample, momentum_time_constant, order_of, shares_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CntkEngine(Engine):
    """The network, trained by CNTK 2.

    Args:
        training: The samples to learn.
        minibatch_size: After how many samples, over all processes, the network is changed.
        seed: Where the random numbers start.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ImportError: CNTK is not installed, or a library it needs is missing.
        InputError: The device does not exist.
    """

    name = "cntk"
    model_suffix = ".dnn"

    def __init__(self, training: Samples, minibatch_size: int, seed: int, device: str) -> None:
        self._cntk = _import_cntk()
        self.rank, self._processes = mpi_place()
        _choose(self._cntk, device)
        self._cntk.cntk_py.set_fixed_random_seed(seed)
        self._seed = seed
        self._training = training
        self._minibatch_size = minibatch_size
        self._images = self._cntk.input_variable((1, SIDE, SIDE), np.float32)
        self._labels = self._cntk.input_variable(CLASSES, np.float32)
        # Weights start the same in each process; what dropout leaves out does not.
        self._network = _network(self._cntk, self._images, dropout_seed=seed + 7919 * self.rank)
        self._trainer = self._new_trainer()

    def describe(self) -> str:
        """Return the engine and its device in words."""
        device = self._cntk.device
        where = "cpu" if device.use_default_device().type() == device.DeviceKind.CPU else "cuda"
        if self._processes > 1:
            where += ", {} processes".format(self._processes)
        return "CNTK {}, device: {}".format(self._cntk.__version__, where)

    def train_epoch(self, epoch: int) -> Tuple[float, int]:
        """Learn every sample once; CNTK counts the samples of its schedule itself."""
        loss_sum = 0.0
        errors = 0.0
        samples = len(self._training)
        order = order_of(self._seed, epoch, samples)
        for first, last in shares_of(samples, self._minibatch_size, self.rank, self._processes):
            batch = order[first:last]
            # A process without a part of a short last minibatch takes part all the same.
            arguments = self._arguments(self._training, batch) if len(batch) else {}
            self._trainer.train_minibatch(arguments)
            count = self._trainer.previous_minibatch_sample_count
            loss_sum += self._trainer.previous_minibatch_loss_average * count
            errors += self._trainer.previous_minibatch_evaluation_average * count
        return loss_sum, round(errors)

    def count_errors(self, samples: Samples) -> int:
        """Return how many samples the network takes for another digit."""
        errors = 0
        for start in range(0, len(samples), TEST_BATCH):
            batch = np.arange(start, min(start + TEST_BATCH, len(samples)))
            images = self._arguments(samples, batch)[self._images]
            found = self._network.eval({self._images: images}).argmax(1)
            errors += int((found != samples.labels[batch]).sum())
        return errors

    def save_model(self, path: Path) -> None:
        """Write the network in CNTK's own format."""
        self._network.save(str(path))

    def save_onnx(self, path: Path) -> None:
        """Write the network as ONNX, for one image at a time.

        Raises:
            ImportError: This CNTK is older than 2.4 and lacks what it takes.
        """
        if not hasattr(self._cntk, "ModelFormat"):
            raise ImportError("CNTK {} cannot write ONNX".format(self._cntk.__version__))
        self._network.save(str(path), format=self._cntk.ModelFormat.ONNX)

    def save_state(self, path: Path) -> None:
        """Write the network and the learner: two files, by the first process, while all wait."""
        self._trainer.save_checkpoint(str(path))

    def load_state(self, path: Path) -> None:
        """Go on from what :meth:`save_state` wrote."""
        self._trainer.restore_from_checkpoint(str(path))

    def close(self) -> None:
        """Leave the other processes, which MPI wants said."""
        if self._processes > 1:
            self._cntk.train.distributed.Communicator.finalize()

    def _new_trainer(self) -> Any:
        cntk = self._cntk
        # CNTK holds the last value of a list for ever; the lists reach behind the last change.
        epochs = range(1, 22)
        # These two functions, unlike those that replaced them in 2.2, exist in every CNTK 2.
        rate = cntk.learners.learning_rate_schedule(
            [learning_rate_per_sample(epoch) for epoch in epochs],
            cntk.learners.UnitType.sample,
            len(self._training),
        )
        time_constant = cntk.learners.momentum_as_time_constant_schedule(
            [momentum_time_constant(epoch) for epoch in epochs], len(self._training)
        )
        learner = cntk.learners.momentum_sgd(self._network.parameters, rate, time_constant)
        if self._processes > 1:
            learner = cntk.train.distributed.data_parallel_distributed_learner(learner)
        loss = cntk.cross_entropy_with_softmax(self._network, self._labels)
        error = cntk.classification_error(self._network, self._labels)
        return cntk.Trainer(self._network, (loss, error), [learner])

    def _arguments(self, samples: Samples, batch: "NDArray[Any]") -> Any:
        images = samples.images[batch].astype(np.float32).reshape(-1, 1, SIDE, SIDE)
        labels = np.eye(CLASSES, dtype=np.float32)[samples.labels[batch]]
        return {self._images: images, self._labels: labels}


def _import_cntk() -> Any:
    with warnings.catch_warnings():
        # At import it warns of every newer Linux, and of the GPU libraries that a CPU needs not.
        warnings.simplefilter("ignore")
        return importlib.import_module("cntk")


def _choose(cntk: Any, device: str) -> None:
    if device == "cpu":
        cntk.device.try_set_default_device(cntk.device.cpu())
    elif device == "cuda":
        if len(cntk.device.all_devices()) == 1:  # the CPU
            raise InputError("--device cuda: CNTK {} finds none".format(cntk.__version__))
        cntk.device.try_set_default_device(cntk.device.gpu(0))


def _network(cntk: Any, images: Any, dropout_seed: int) -> Any:
    hidden = cntk.element_times(cntk.constant(1 / 256), images)
    with cntk.layers.default_options(activation=cntk.relu, pad=False):
        hidden = cntk.layers.Convolution2D((5, 5), 32, pad=True)(hidden)
        hidden = cntk.layers.MaxPooling((3, 3), (2, 2))(hidden)
        hidden = cntk.layers.Convolution2D((3, 3), 48)(hidden)
        hidden = cntk.layers.MaxPooling((3, 3), (2, 2))(hidden)
        hidden = cntk.layers.Convolution2D((3, 3), 64)(hidden)
        hidden = cntk.layers.Dense(96)(hidden)
        hidden = cntk.layers.Dropout(0.5, seed=dropout_seed)(hidden)
        return cntk.layers.Dense(CLASSES, activation=None)(hidden)
