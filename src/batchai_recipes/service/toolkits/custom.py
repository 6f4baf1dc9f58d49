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
        >>> from batchai_recipes.service.engines.engine import Node
        >>> node = Node("127.0.0.1", "/mounts", 0, {})
        >>> settings = {"commandLine": "true"}
        >>> job = ToolkitJob(settings, (node,), ({},), "python3", "/shared", lambda *_: ())
        >>> custom(job)[0].command_line
        'true'
    """
    command_line = job.settings.get("commandLine")
    if not command_line:
        raise ToolkitError("customToolkitSettings.commandLine is missing: give a command to run")
    return (Process(0, command_line, job.interpreter),)
