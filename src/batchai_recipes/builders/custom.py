"""CustomJobBuilder and CustomMpiJobBuilder: jobs that run any command line."""

from typing import TYPE_CHECKING

from attrs import evolve, field, frozen
from typing_extensions import Self

from batchai_recipes.builders.count import checked_count
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.text import filled_text

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import JobCreateParameters


@frozen
class CustomJobBuilder(JobBuilder):
    """Describes a job that runs a command on its first node; each method returns a new builder.

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.

    Example:
        >>> job = (
        ...     CustomJobBuilder("myjob")
        ...     .command_line("echo hi | tee $AZ_BATCHAI_OUTPUT_RESULT/result.txt")
        ...     .output("RESULT", prefix="$AZ_BATCHAI_MOUNT_ROOT/share")
        ...     .std_out_err_path_prefix("$AZ_BATCHAI_MOUNT_ROOT/share")
        ... )
        >>> job.build(cluster_id="/clusters/demo").custom_toolkit_settings.command_line
        'echo hi | tee $AZ_BATCHAI_OUTPUT_RESULT/result.txt'
    """

    command: str | None = field(default=None, kw_only=True)

    def command_line(self, command: str) -> Self:
        """Set the command to run.

        Args:
            command: A command line for the shell of the node, which expands ``$NAME``.

        Raises:
            ConfigurationError: The command is empty.
        """
        return evolve(self, command=filled_text("The job's command line", command))

    def _checked_command(self) -> str:
        if self.command is None:
            raise ConfigurationError(
                f"Job {self.name!r} has no command: add .command_line('python ...')"
            )
        return self.command

    def _add_toolkit(self, parameters: "JobCreateParameters") -> None:
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        command_line = self._checked_command()
        parameters.custom_toolkit_settings = models.CustomToolkitSettings(command_line=command_line)


@frozen
class CustomMpiJobBuilder(CustomJobBuilder):
    """Describes a job that runs a command in every rank of MPI; each method returns a new builder.

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.

    Example:
        >>> job = (
        ...     CustomMpiJobBuilder("myjob")
        ...     .command_line("hostname")
        ...     .nodes(2)
        ...     .processes(4)
        ...     .std_out_err_path_prefix("$AZ_BATCHAI_MOUNT_ROOT/share")
        ... )
        >>> job.build(cluster_id="/clusters/demo").custom_mpi_settings.process_count
        4
    """

    process_count: int | None = field(default=None, kw_only=True)

    def processes(self, count: int) -> Self:
        """Run a number of ranks, dealt out to the nodes; without it, one on each node.

        Args:
            count: How many ranks on all nodes together, 1 or more.

        Raises:
            ConfigurationError: The count is less than 1 or not a whole number.
        """
        return evolve(self, process_count=checked_count("processes of a job", count, at_least=1))

    def _add_toolkit(self, parameters: "JobCreateParameters") -> None:
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        parameters.custom_mpi_settings = models.CustomMpiSettings(
            command_line=self._checked_command(), process_count=self.process_count
        )
