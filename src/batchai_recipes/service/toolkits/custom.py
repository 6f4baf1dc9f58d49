"""Jobs of the custom toolkit: any command line."""

from batchai_recipes.service.toolkits.toolkit import Process, ToolkitError, ToolkitJob


def custom(job: ToolkitJob) -> tuple[Process, ...]:
    """Make the process of a custom job, which runs on the master alone.

    Args:
        job: The job; its settings are ``customToolkitSettings``.

    Returns:
        One process.

    Raises:
        ToolkitError: There is no command line.

    Example:
        >>> custom(ToolkitJob({"commandLine": "true"}, 1, "/usr/bin/python3"))[0].command_line
        'true'
    """
    command_line = job.settings.get("commandLine")
    if not command_line:
        raise ToolkitError("customToolkitSettings.commandLine is missing: give a command to run")
    return (Process(0, command_line, job.interpreter),)
