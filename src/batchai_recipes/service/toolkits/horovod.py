"""Jobs of Horovod: a Python script under MPI."""

from batchai_recipes.service.toolkits.mpi import mpi_process
from batchai_recipes.service.toolkits.python_script import python_command, python_program
from batchai_recipes.service.toolkits.toolkit import Process, ToolkitJob


def horovod(job: ToolkitJob) -> tuple[Process, ...]:
    """Make the process of a Horovod job, which starts its ranks through MPI.

    Args:
        job: The job; its settings are ``horovodSettings``.

    Returns:
        One process on the master.

    Raises:
        ToolkitError: No script is named.
    """
    command_line = f"exec {python_command(job.settings, job.interpreter)}"
    return (mpi_process(job, command_line, python_program(job.settings, job.interpreter)),)
