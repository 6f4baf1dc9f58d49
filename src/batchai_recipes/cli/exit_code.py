"""How the commands end: the exit codes that scripts can rely on."""

from enum import IntEnum
from typing import Final

from batchai_recipes.errors import (
    CleanUpError,
    ConfigurationError,
    JobError,
    JobFailedError,
    WaitTimeoutError,
)


class ExitCode(IntEnum):
    """What an exit code means."""

    DONE = 0
    FAILED = 1
    WRONG_INPUT = 2
    JOB_FAILED = 3
    NOT_CLEANED_UP = 4
    TIMED_OUT = 5
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


MEANINGS: Final = {
    ExitCode.DONE: "what was asked for is done",
    ExitCode.FAILED: "the service, a file or the network stood in the way",
    ExitCode.WRONG_INPUT: "an argument, a configuration file or a setting is wrong",
    ExitCode.JOB_FAILED: "the job failed",
    ExitCode.NOT_CLEANED_UP: "all went well, but something could not be deleted",
    ExitCode.TIMED_OUT: "a wait took longer than it was allowed to",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C; what was made is deleted, or detached again",
    ExitCode.BROKEN_PIPE: "the reader of the output went away",
    ExitCode.TERMINATED: "ended by SIGTERM; what was made is deleted, or detached again",
}
"""Each code with its meaning, as ``--help`` and the manual have them."""

_OF_ERRORS: Final = (
    (ConfigurationError, ExitCode.WRONG_INPUT),
    (JobFailedError, ExitCode.JOB_FAILED),
    (WaitTimeoutError, ExitCode.TIMED_OUT),
    (JobError, ExitCode.JOB_FAILED),
    (CleanUpError, ExitCode.NOT_CLEANED_UP),
)


def exit_code_of(error: BaseException) -> ExitCode:
    """Return how a command ends that an error ended.

    Args:
        error: The error.

    Example:
        >>> exit_code_of(ConfigurationError("a typo"))
        <ExitCode.WRONG_INPUT: 2>
    """
    for kind, code in _OF_ERRORS:
        if isinstance(error, kind):
            return code
    return ExitCode.FAILED
