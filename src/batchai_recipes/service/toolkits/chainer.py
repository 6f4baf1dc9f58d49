"""Jobs of Chainer: a Python script, under MPI when it has several processes."""

from batchai_recipes.service.toolkits.config_file import python_processes
from batchai_recipes.service.toolkits.toolkit import Process, ToolkitJob


def chainer(job: ToolkitJob) -> tuple[Process, ...]:
    """Make the process of a Chainer job.

    Args:
        job: The job; its settings are ``chainerSettings``.

    Returns:
        One process on the master, which starts the ranks through MPI when there are several.

    Raises:
        ToolkitError: No script is named.
    """
    return python_processes(job)
