"""PyTorchJobBuilder: a job that runs a PyTorch program, on one node or several."""

from typing import TYPE_CHECKING, Literal, TypeAlias

from attrs import evolve, field, frozen
from typing_extensions import Self

from batchai_recipes.builders.python_job import ParallelPythonJobBuilder
from batchai_recipes.errors import ConfigurationError

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import JobCreateParameters

CommunicationBackend: TypeAlias = Literal["gloo", "nccl", "mpi", "tcp"]


@frozen
class PyTorchJobBuilder(ParallelPythonJobBuilder):
    """Describes a job of the PyTorch toolkit; each method returns a new builder.

    Each process finds its place in ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``, ``MASTER_ADDR`` and
    ``MASTER_PORT``, as with torchrun, and in Batch AI's own ``AZ_BATCHAI_TASK_INDEX`` and
    ``AZ_BATCHAI_PYTORCH_INIT_METHOD``. Its output is in ``stdout-RANK.txt``.

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.

    Example:
        >>> job = (
        ...     PyTorchJobBuilder("myjob")
        ...     .script("$AZ_BATCHAI_INPUT_CODE/train.py")
        ...     .input("CODE", "$AZ_BATCHAI_MOUNT_ROOT/share/code")
        ...     .std_out_err_path_prefix("$AZ_BATCHAI_MOUNT_ROOT/share")
        ...     .nodes(2)
        ...     .communication_backend("gloo")
        ... )
        >>> job.build(cluster_id="/clusters/demo").py_torch_settings.communication_backend
        'gloo'
    """

    backend: CommunicationBackend | None = field(default=None, kw_only=True)

    def communication_backend(self, backend: CommunicationBackend) -> Self:
        """Set how the processes talk; without it, nccl where each has a GPU, and gloo elsewhere.

        Args:
            backend: ``gloo``, ``nccl``, ``mpi`` or, of old releases, ``tcp``.

        Raises:
            ConfigurationError: It is another word.
        """
        if backend not in {"gloo", "nccl", "mpi", "tcp"}:
            raise ConfigurationError(
                f"{backend!r} is no communication backend: use 'gloo', 'nccl', 'mpi' or 'tcp'"
            )
        return evolve(self, backend=backend)

    def _add_toolkit(self, parameters: "JobCreateParameters") -> None:
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        parameters.py_torch_settings = models.PyTorchSettings(
            **self._python_settings(),
            communication_backend=self.backend,
        )
