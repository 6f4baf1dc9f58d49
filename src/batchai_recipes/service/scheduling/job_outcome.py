"""How a job ends, judged by what became of its tasks and by who wants it to end: pure decisions."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from attrs import frozen

from batchai_recipes.service.batchai_error import BatchAIError
from batchai_recipes.service.engines.engine import Ended, Lost, TaskStatus
from batchai_recipes.service.scheduling.job_plan import (
    PREPARATION_PREFIX,
    PROCESS_PREFIX,
    out_of_time,
)
from batchai_recipes.service.scheduling.job_records import JobRecord

_HINTS: Mapping[int, str] = {
    126: ": a program could not be executed; check that it is executable and made for this machine",
    127: ": a program was not found; check its path and what is installed on the host",
    137: ": it was killed, as happens when the machine runs out of memory",
}


@frozen
class Outcome:
    """How a job ends once nothing of it runs any more.

    Args:
        state: Its new execution state; ``queued`` when it shall run again.
        exit_code: Its exit code, if it has one.
        error: What it reports of itself, if it failed.
        ended_at: When its last task ended; None where there was none.
    """

    state: Literal["succeeded", "failed", "queued"]
    exit_code: int | None = None
    error: BatchAIError | None = None
    ended_at: datetime | None = None


@frozen
class Stop:
    """Somebody wants a running job to end.

    Args:
        message: Who and why, for the job's error.
        requeue: Whether it shall run again.
    """

    message: str
    requeue: bool = False


def judge(job: JobRecord, tasks: Mapping[str, TaskStatus], stop: Stop | None) -> Outcome | None:
    """Decide whether a job is over.

    What its tasks did by themselves counts first: a job that had ended before it was asked to is no
    terminated job.

    Args:
        job: The job.
        tasks: What became of the tasks launched so far.
        stop: Who wants it to end.

    Returns:
        How it ends (after the tasks that still run have been terminated), or None when it goes on.
        That all its tasks succeeded is for the caller to see, who knows how many there are.
    """
    failed = _lost(tasks) or _failed(job, tasks)
    if failed is not None:
        return failed
    if stop is None:
        terminated = [t for t in _ended(tasks.values()) if t.reason == "terminated"]
        # Not by this service: somebody sent the supervisor a SIGTERM.
        return _stopped(tasks, Stop("The job was terminated on its node")) if terminated else None
    processes = _named(tasks, PROCESS_PREFIX)
    if processes and all(isinstance(s, Ended) and s.reason == "exited" for s in processes.values()):
        return None
    return _stopped(tasks, stop)


def succeeded(tasks: Mapping[str, TaskStatus]) -> Outcome:
    """Describe the end of a job all of whose tasks succeeded.

    Args:
        tasks: Its tasks.
    """
    return Outcome("succeeded", 0, ended_at=_last_end(tasks))


def _lost(tasks: Mapping[str, TaskStatus]) -> Outcome | None:
    if Lost() not in tasks.values():
        return None
    message = (
        "The job was lost: its supervising process was killed or the machine was restarted while "
        "it ran. It was not run again; submit a new job to do so"
    )
    return Outcome("failed", error=BatchAIError("JobLost", message), ended_at=_last_end(tasks))


def _failed(job: JobRecord, tasks: Mapping[str, TaskStatus]) -> Outcome | None:
    for name, status in tasks.items():
        if not isinstance(status, Ended) or status.reason == "terminated":
            continue
        if status.reason == "exited" and status.exit_code == 0:
            continue
        error = _error_of(job, name, status)
        return Outcome("failed", status.exit_code, error, _last_end(tasks))
    return None


def _error_of(job: JobRecord, name: str, status: Ended) -> BatchAIError:
    if status.reason == "time limit":
        return out_of_time(job)
    preparing = name.startswith(PREPARATION_PREFIX)
    code = "JobPreparationFailed" if preparing else "JobFailed"
    subject = "Job preparation" if preparing else "The job"
    if status.reason == "not started":
        return BatchAIError(code, f"{subject} was not started: {status.message}")
    hint = _HINTS.get(status.exit_code or 0, "")
    file = "stderr-job_prep.txt" if preparing else "stderr.txt"
    return BatchAIError(
        code,
        f"{subject} failed with exit code {status.exit_code}{hint}. Look at {file} in its standard "
        "output directory",
    )


def _stopped(tasks: Mapping[str, TaskStatus], stop: Stop) -> Outcome:
    if stop.requeue:
        return Outcome("queued")
    processes = _ended(_named(tasks, PROCESS_PREFIX).values())
    terminated = [task for task in _ended(tasks.values()) if task.reason == "terminated"]
    telling = next(iter([*processes, *terminated]), None)
    return Outcome(
        "failed",
        telling.exit_code if telling else None,
        BatchAIError("JobTerminated", stop.message),
        _last_end(tasks),
    )


def _named(tasks: Mapping[str, TaskStatus], prefix: str) -> dict[str, TaskStatus]:
    return {name: status for name, status in tasks.items() if name.startswith(prefix)}


def _ended(statuses: Iterable[TaskStatus]) -> list[Ended]:
    return [status for status in statuses if isinstance(status, Ended)]


def _last_end(tasks: Mapping[str, TaskStatus]) -> datetime | None:
    return max((status.ended_at for status in _ended(tasks.values())), default=None)
