"""Jobs of the custom MPI toolkit: any command line in every rank."""

from batchai_recipes.service.toolkits.mpi import mpi_process
from batchai_recipes.service.toolkits.toolkit import Process, ToolkitError, ToolkitJob


def custom_mpi(job: ToolkitJob) -> tuple[Process, ...]:
    """Make the process of a custom MPI job, which starts its ranks.

    Args:
        job: The job; its settings are ``customMpiSettings``.

    Returns:
        One process on the master.

    Raises:
        ToolkitError: There is no command line.
    """
    command_line = job.settings.get("commandLine")
    if not command_line:
        raise ToolkitError("customMpiSettings.commandLine is missing: give a command to run")
    return (mpi_process(job, str(command_line).strip(), job.interpreter),)
