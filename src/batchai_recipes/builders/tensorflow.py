"""TensorFlowJobBuilder: a job that runs a TensorFlow program, on one node or several."""

from typing import TYPE_CHECKING

from attrs import evolve, field, frozen
from typing_extensions import Self

from batchai_recipes.builders.command_line import arguments_line, checked_arguments, checked_line
from batchai_recipes.builders.count import checked_count
from batchai_recipes.builders.python_job import ScriptJobBuilder

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import JobCreateParameters


@frozen
class TensorFlowJobBuilder(ScriptJobBuilder):
    """Describes a job of the TensorFlow toolkit; each method returns a new builder.

    A job of several nodes has workers, of which the first is the master, and parameter servers.
    Each finds the others in ``TF_CONFIG`` and in ``AZ_BATCHAI_WORKER_HOSTS`` and
    ``AZ_BATCHAI_PS_HOSTS``; it ends when its master does. Output is in ``stdout-wk-INDEX.txt`` and
    ``stdout-ps-INDEX.txt``.

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.

    Example:
        >>> cluster = ("--ps_hosts=$AZ_BATCHAI_PS_HOSTS", "--worker_hosts=$AZ_BATCHAI_WORKER_HOSTS")
        >>> job = (
        ...     TensorFlowJobBuilder("myjob")
        ...     .script("$AZ_BATCHAI_INPUT_CODE/mnist_replica.py")
        ...     .input("CODE", "$AZ_BATCHAI_MOUNT_ROOT/share/code")
        ...     .std_out_err_path_prefix("$AZ_BATCHAI_MOUNT_ROOT/share")
        ...     .nodes(2)
        ...     .master_args("--job_name=worker", *cluster)
        ...     .worker_args("--job_name=worker", *cluster)
        ...     .parameter_server_args("--job_name=ps", *cluster)
        ...     .parameter_servers(1)
        ... )
        >>> job.build(cluster_id="/clusters/demo").tensor_flow_settings.parameter_server_count
        1
    """

    master_arguments: tuple[str, ...] | str = field(default=(), kw_only=True)
    worker_arguments: tuple[str, ...] | str = field(default=(), kw_only=True)
    parameter_server_arguments: tuple[str, ...] | str = field(default=(), kw_only=True)
    worker_count: int | None = field(default=None, kw_only=True)
    parameter_server_count: int | None = field(default=None, kw_only=True)

    def master_args(self, *arguments: str) -> Self:
        """Set the script's arguments in the master, replacing earlier ones.

        Args:
            arguments: One string for each argument; ``$NAME`` is expanded on the node.

        Raises:
            ConfigurationError: One is no string.
        """
        return evolve(self, master_arguments=checked_arguments(arguments))

    def master_command_line_args(self, line: str) -> Self:
        """Set the script's arguments in the master as one line for the shell.

        Args:
            line: The line, as it is; :meth:`master_args` needs no quoting.

        Raises:
            ConfigurationError: It is no string.
        """
        return evolve(self, master_arguments=checked_line(line))

    def worker_args(self, *arguments: str) -> Self:
        """Set the script's arguments in the workers beside the master, replacing earlier ones.

        Args:
            arguments: One string for each argument; ``$NAME`` is expanded on the node.

        Raises:
            ConfigurationError: One is no string.
        """
        return evolve(self, worker_arguments=checked_arguments(arguments))

    def worker_command_line_args(self, line: str) -> Self:
        """Set the script's arguments in the workers beside the master as one line for the shell.

        Args:
            line: The line, as it is; :meth:`worker_args` needs no quoting.

        Raises:
            ConfigurationError: It is no string.
        """
        return evolve(self, worker_arguments=checked_line(line))

    def parameter_server_args(self, *arguments: str) -> Self:
        """Set the script's arguments in the parameter servers, replacing earlier ones.

        Args:
            arguments: One string for each argument; ``$NAME`` is expanded on the node.

        Raises:
            ConfigurationError: One is no string.
        """
        return evolve(self, parameter_server_arguments=checked_arguments(arguments))

    def parameter_server_command_line_args(self, line: str) -> Self:
        """Set the script's arguments in the parameter servers as one line for the shell.

        Args:
            line: The line, as it is; :meth:`parameter_server_args` needs no quoting.

        Raises:
            ConfigurationError: It is no string.
        """
        return evolve(self, parameter_server_arguments=checked_line(line))

    def workers(self, count: int) -> Self:
        """Run a number of workers; without it, one on each node.

        Args:
            count: How many workers, the master among them, 1 or more.

        Raises:
            ConfigurationError: The count is less than 1 or not a whole number.
        """
        return evolve(self, worker_count=checked_count("workers of a job", count, at_least=1))

    def parameter_servers(self, count: int) -> Self:
        """Run a number of parameter servers; without it, one where there are several workers.

        Args:
            count: How many parameter servers, 1 or more.

        Raises:
            ConfigurationError: The count is less than 1 or not a whole number.
        """
        checked_count("parameter servers of a job", count, at_least=1)
        return evolve(self, parameter_server_count=count)

    def _add_toolkit(self, parameters: "JobCreateParameters") -> None:
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        parameters.tensor_flow_settings = models.TensorFlowSettings(
            python_script_file_path=self._checked_script(),
            python_interpreter_path=self.interpreter,
            master_command_line_args=arguments_line(self.master_arguments),
            worker_command_line_args=arguments_line(self.worker_arguments),
            parameter_server_command_line_args=arguments_line(self.parameter_server_arguments),
            worker_count=self.worker_count,
            parameter_server_count=self.parameter_server_count,
        )
