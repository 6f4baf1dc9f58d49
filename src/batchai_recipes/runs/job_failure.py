"""Why a job failed: what the service says of it, and the end of its standard error."""

from typing import TYPE_CHECKING, Final

from batchai_recipes.errors import BatchAIRecipesError, JobFailedError
from batchai_recipes.runs.job_output import JobOutput
from batchai_recipes.runs.log_names import LogNames

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import BatchAIError, Job

_STDERR_TAIL_BYTES: Final = 4096


def job_failure(name: str, job: "Job", output: JobOutput) -> JobFailedError:
    """Return the error of a job that failed.

    Args:
        name: The job's name.
        job: What the service says of it.
        output: The directory that its logs are in.
    """
    info = job.execution_info
    reported: list[BatchAIError] = list(info.errors or ()) if info else []
    errors = [f"{e.code}: {e.message}" for e in reported]
    details = [detail for e in reported for detail in e.details or ()]
    # The service names the file of the process that failed; else it is the first one's.
    named = [str(detail.value) for detail in details if detail.name == "file"]
    logs = LogNames(tuple(named), alternatives=True)
    logs = logs if named else LogNames.first_process("stderr")
    tail: str | None = None
    try:
        tail = read_tail(output, logs, _STDERR_TAIL_BYTES)
    except BatchAIRecipesError as error:
        errors.append(f"{logs.names[0]} could not be read: {error}")
    return JobFailedError(name, info.exit_code if info else None, errors, tail)


def read_tail(output: JobOutput, logs: LogNames, length: int) -> str:
    """Read the end of a log.

    Args:
        output: The directory that the log is in.
        logs: The names that the log may have.
        length: How much to read at most, in bytes.

    Returns:
        The text, empty when there is no such file; characters cut at its start are dropped.

    Raises:
        RequestError: The service did not answer.
    """
    files = {file.path: file for file in output.files()}
    for name in logs.among(files):
        file = files[name]
        start = max(0, file.size - length)
        content = b""
        while len(content) < length:
            part = output.read(file.url, start + len(content), length - len(content))
            if not part:
                break
            content += part
        text = content.decode(errors="replace")
        return text.lstrip("\ufffd") if start else text
    return ""
