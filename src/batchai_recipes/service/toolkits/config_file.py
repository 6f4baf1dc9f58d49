"""Toolkits whose program runs either a Python script or a configuration file of its own."""

import shlex

from batchai_recipes.service.toolkits.mpi import mpi_process, process_count
from batchai_recipes.service.toolkits.python_script import python_command, python_program
from batchai_recipes.service.toolkits.toolkit import Process, ToolkitError, ToolkitJob
from batchai_recipes.service.variables import in_double_quotes


def python_processes(job: ToolkitJob) -> tuple[Process, ...]:
    """Make the process of a Python script, under MPI when it shall run several times.

    Args:
        job: The job.

    Raises:
        ToolkitError: No script is named.
    """
    command_line = f"exec {python_command(job.settings, job.interpreter)}"
    return _processes(job, command_line, python_program(job.settings, job.interpreter))


def config_processes(
    job: ToolkitJob, program: str, option: str, missing: str
) -> tuple[Process, ...]:
    """Make the process of a toolkit's own program, under MPI when it shall run several times.

    Args:
        job: The job.
        program: The program, with what comes before its options.
        option: The option that takes the configuration file, with its ``=``.
        missing: What to say where the program is not installed.

    Raises:
        ToolkitError: No configuration file is named.
    """
    config = job.settings.get("configFilePath")
    if not config:
        raise ToolkitError("configFilePath is missing: name the configuration file")
    name = program.partition(" ")[0]
    check = f"command -v {name} >/dev/null || {{ echo {shlex.quote(missing)} >&2; exit 127; }}"
    arguments = str(job.settings.get("commandLineArgs") or "").strip()
    words = [f"exec {program}", f"{option}{in_double_quotes(config)}", arguments]
    return _processes(job, f"{check}; {' '.join(filter(None, words))}", job.interpreter)


def _processes(job: ToolkitJob, command_line: str, program: str) -> tuple[Process, ...]:
    if process_count(job) == 1:
        return (Process(0, command_line, program),)
    return (mpi_process(job, command_line, program),)
