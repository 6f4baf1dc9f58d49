"""Caffe2JobBuilder: a job that runs a Caffe2 program, once on each node."""

from typing import TYPE_CHECKING

from attrs import frozen

from batchai_recipes.builders.python_job import PythonJobBuilder

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import JobCreateParameters


@frozen
class Caffe2JobBuilder(PythonJobBuilder):
    """Describes a job of the Caffe2 toolkit; each method returns a new builder.

    Each node runs one process, whose output is in ``stdout-INDEX.txt``; the index is
    ``$AZ_BATCHAI_TASK_INDEX``.

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.

    Example:
        >>> job = (
        ...     Caffe2JobBuilder("myjob")
        ...     .script("$AZ_BATCHAI_INPUT_CODE/train.py")
        ...     .input("CODE", "$AZ_BATCHAI_MOUNT_ROOT/share/code")
        ...     .std_out_err_path_prefix("$AZ_BATCHAI_MOUNT_ROOT/share")
        ...     .nodes(2)
        ...     .args("--num_shards", "2", "--shard_id", "$AZ_BATCHAI_TASK_INDEX")
        ... )
        >>> print(job.build(cluster_id="/clusters/demo").caffe2_settings.command_line_args)
        --num_shards 2 --shard_id "$AZ_BATCHAI_TASK_INDEX"
    """

    def _add_toolkit(self, parameters: "JobCreateParameters") -> None:
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        parameters.caffe2_settings = models.Caffe2Settings(
            python_script_file_path=self._checked_script(),
            python_interpreter_path=self.interpreter,
            command_line_args=self._command_line_args(),
        )
