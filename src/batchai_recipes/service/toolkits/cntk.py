"""Jobs of the Cognitive Toolkit: a Python script or a BrainScript configuration."""

import shlex

from batchai_recipes.service.toolkits.python_script import python_command, python_program
from batchai_recipes.service.toolkits.toolkit import Process, ToolkitError, ToolkitJob
from batchai_recipes.service.variables import in_double_quotes

_NO_CNTK = "BrainScript needs the program cntk, which is not on the PATH of the node: install CNTK"


def cntk(job: ToolkitJob) -> tuple[Process, ...]:
    """Make the process of a CNTK job.

    Args:
        job: The job; its settings are ``cntkSettings``.

    Returns:
        One process on the master.

    Raises:
        ToolkitError: A setting is missing, or it asks for several processes.

    Example:
        >>> settings = {"languageType": "Python", "pythonScriptFilePath": "$ROOT/train.py"}
        >>> from batchai_recipes.service.engines.engine import Node
        >>> node = Node("127.0.0.1", "/mounts", 0, {})
        >>> job = ToolkitJob(settings, (node,), "/usr/bin/python3", "/shared", lambda *_: ())
        >>> cntk(job)[0].command_line
        'exec "/usr/bin/python3" "$ROOT/train.py"'
    """
    count = job.settings.get("processCount") or len(job.nodes)
    if count != 1:
        raise ToolkitError(
            f"cntkSettings.processCount is {count} (the default is nodeCount): running several "
            "CNTK processes needs MPI, which this release does not support; set processCount to 1"
        )
    language = str(job.settings.get("languageType") or _language_of(job)).casefold()
    if language == "python":
        return (_python(job),)
    if language == "brainscript":
        return (_brain_script(job),)
    raise ToolkitError(
        f"cntkSettings.languageType is {language!r}: it must be 'Python' or 'BrainScript'"
    )


def _language_of(job: ToolkitJob) -> str:
    return "BrainScript" if job.settings.get("configFilePath") else "Python"


def _python(job: ToolkitJob) -> Process:
    command_line = f"exec {python_command(job.settings, job.interpreter)}"
    return Process(0, command_line, python_program(job.settings, job.interpreter))


def _brain_script(job: ToolkitJob) -> Process:
    config = job.settings.get("configFilePath")
    if not config:
        raise ToolkitError("cntkSettings.configFilePath is missing: name the BrainScript file")
    check = f"command -v cntk >/dev/null || {{ echo {shlex.quote(_NO_CNTK)} >&2; exit 127; }}"
    words = ["exec cntk", f"configFile={in_double_quotes(config)}", _arguments(job)]
    return Process(0, f"{check}; {' '.join(filter(None, words))}", job.interpreter)


def _arguments(job: ToolkitJob) -> str:
    return str(job.settings.get("commandLineArgs") or "").strip()
