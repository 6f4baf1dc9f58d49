"""CntkJobBuilder: a job that runs a CNTK program."""

from typing import TYPE_CHECKING

from attrs import frozen

from batchai_recipes.builders.python_job import ConfigFileJobBuilder

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import JobCreateParameters


@frozen
class CntkJobBuilder(ConfigFileJobBuilder):
    """Describes a job of the CNTK toolkit; each method returns a new builder.

    It runs a Python script (``script``) or a BrainScript configuration (``config_file``), under MPI
    when it has several processes.

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.

    Example:
        >>> job = (
        ...     CntkJobBuilder("myjob")
        ...     .script("$AZ_BATCHAI_INPUT_SAMPLE/ConvNet_MNIST.py")
        ...     .args("$AZ_BATCHAI_INPUT_SAMPLE", "--epochs", "2")
        ...     .input("SAMPLE", "$AZ_BATCHAI_MOUNT_ROOT/share/sample")
        ...     .std_out_err_path_prefix("$AZ_BATCHAI_MOUNT_ROOT/share")
        ... )
        >>> print(job.build(cluster_id="/clusters/demo").cntk_settings.command_line_args)
        "$AZ_BATCHAI_INPUT_SAMPLE" --epochs 2
    """

    def _add_toolkit(self, parameters: "JobCreateParameters") -> None:
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        self._check_script_or_config()
        parameters.cntk_settings = models.CNTKsettings(
            language_type="Python" if self.config is None else "BrainScript",
            config_file_path=self.config,
            python_script_file_path=self.python_script,
            python_interpreter_path=self.interpreter,
            command_line_args=self._command_line_args(),
            process_count=self.process_count,
        )
