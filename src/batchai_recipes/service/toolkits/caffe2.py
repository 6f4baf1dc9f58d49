"""Jobs of Caffe2: one process on each node, which meet in a folder that all see."""

from batchai_recipes.service.toolkits.python_script import python_command, python_program
from batchai_recipes.service.toolkits.toolkit import RANK, Process, ToolkitJob


def caffe2(job: ToolkitJob) -> tuple[Process, ...]:
    """Make the processes of a Caffe2 job.

    A script takes ``$AZ_BATCHAI_TASK_INDEX`` as its shard and ``$AZ_BATCHAI_SHARED_JOB_TEMP`` as
    its store, as Batch AI's recipe does.

    Args:
        job: The job; its settings are ``caffe2Settings``.

    Returns:
        One process on each node.

    Raises:
        ToolkitError: No script is named.
    """
    command_line = f"exec {python_command(job.settings, job.interpreter)}"
    program = python_program(job.settings, job.interpreter)
    return tuple(
        Process(index, command_line, program, role=RANK, index=index)
        for index in range(len(job.nodes))
    )
