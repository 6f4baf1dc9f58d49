"""Jobs of Caffe: a Python script, or a solver for the program ``caffe``."""

from typing import Final

from batchai_recipes.service.toolkits.config_file import config_processes, python_processes
from batchai_recipes.service.toolkits.toolkit import Process, ToolkitJob

_NO_CAFFE: Final = (
    "A Caffe solver needs the program caffe, which is not on the PATH of the node: install Caffe "
    "(Debian and Ubuntu: caffe-cpu)"
)


def caffe(job: ToolkitJob) -> tuple[Process, ...]:
    """Make the process of a Caffe job.

    Args:
        job: The job; its settings are ``caffeSettings``.

    Returns:
        One process on the master, which starts the ranks through MPI when there are several.

    Raises:
        ToolkitError: Neither a script nor a configuration file is named.
    """
    if job.settings.get("pythonScriptFilePath"):
        return python_processes(job)
    return config_processes(job, "caffe train", "--solver=", _NO_CAFFE)
