"""CaffeJobBuilder: a job that runs a Caffe solver or a Python script."""

from typing import TYPE_CHECKING

from attrs import frozen

from batchai_recipes.builders.python_job import ConfigFileJobBuilder

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import JobCreateParameters


@frozen
class CaffeJobBuilder(ConfigFileJobBuilder):
    """Describes a job of the Caffe toolkit; each method returns a new builder.

    It runs a solver (``config_file``) or a Python script (``script``).

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.

    Example:
        >>> job = (
        ...     CaffeJobBuilder("myjob")
        ...     .config_file("$AZ_BATCHAI_INPUT_SAMPLE/lenet_solver.prototxt")
        ...     .input("SAMPLE", "$AZ_BATCHAI_MOUNT_ROOT/share/sample")
        ...     .std_out_err_path_prefix("$AZ_BATCHAI_MOUNT_ROOT/share")
        ... )
        >>> job.build(cluster_id="/clusters/demo").caffe_settings.config_file_path
        '$AZ_BATCHAI_INPUT_SAMPLE/lenet_solver.prototxt'
    """

    def _add_toolkit(self, parameters: "JobCreateParameters") -> None:
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        self._check_script_or_config()
        parameters.caffe_settings = models.CaffeSettings(
            config_file_path=self.config,
            python_script_file_path=self.python_script,
            python_interpreter_path=self.interpreter,
            command_line_args=self._command_line_args(),
            process_count=self.process_count,
        )
