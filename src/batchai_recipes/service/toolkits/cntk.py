"""Jobs of the Cognitive Toolkit: a Python script or a BrainScript configuration."""

from typing import Final

from batchai_recipes.service.toolkits.config_file import config_processes, python_processes
from batchai_recipes.service.toolkits.toolkit import Process, ToolkitError, ToolkitJob

_NO_CNTK: Final = (
    "BrainScript needs the program cntk, which is not on the PATH of the node: install CNTK"
)


def cntk(job: ToolkitJob) -> tuple[Process, ...]:
    """Make the process of a CNTK job.

    Args:
        job: The job; its settings are ``cntkSettings``.

    Returns:
        One process on the master, which starts the ranks through MPI when there are several.

    Raises:
        ToolkitError: A setting is missing.
    """
    language = str(job.settings.get("languageType") or _language_of(job)).casefold()
    if language == "python":
        return python_processes(job)
    if language == "brainscript":
        return config_processes(job, "cntk", "configFile=", _NO_CNTK)
    raise ToolkitError(
        f"cntkSettings.languageType is {language!r}: it must be 'Python' or 'BrainScript'"
    )


def _language_of(job: ToolkitJob) -> str:
    return "BrainScript" if job.settings.get("configFilePath") else "Python"
