"""HorovodJobBuilder: a job that runs a Horovod program under MPI."""

from typing import TYPE_CHECKING

from attrs import frozen

from batchai_recipes.builders.python_job import ParallelPythonJobBuilder

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import JobCreateParameters


@frozen
class HorovodJobBuilder(ParallelPythonJobBuilder):
    """Describes a job of the Horovod toolkit; each method returns a new builder.

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.

    Example:
        >>> job = (
        ...     HorovodJobBuilder("myjob")
        ...     .script("$AZ_BATCHAI_INPUT_CODE/train.py")
        ...     .input("CODE", "$AZ_BATCHAI_MOUNT_ROOT/share/code")
        ...     .std_out_err_path_prefix("$AZ_BATCHAI_MOUNT_ROOT/share")
        ...     .nodes(2)
        ...     .processes(4)
        ... )
        >>> job.build(cluster_id="/clusters/demo").horovod_settings.process_count
        4
    """

    def _add_toolkit(self, parameters: "JobCreateParameters") -> None:
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        parameters.horovod_settings = models.HorovodSettings(**self._python_settings())
