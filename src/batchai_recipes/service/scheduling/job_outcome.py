"""How a job ends, judged by what became of its tasks and by who wants it to end: pure decisions."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, Literal

from attrs import frozen

from batchai_recipes.service.batchai_error import BatchAIError
from batchai_recipes.service.engines.engine import Ended, Lost, TaskStatus
from batchai_recipes.service.scheduling.job_plan import (
    PREPARATION_PREFIX,
    out_of_time,
    preparation_suffix,
)
from batchai_recipes.service.scheduling.job_records import JobRecord
from batchai_recipes.service.toolkits.toolkit import MPIRUN, PROCESS, ROLES, Role

_NOT_FOUND: Final = 127
_PREPARATION: Final = PREPARATION_PREFIX.removesuffix("-")
_HINT_FOR_MPI: Final = (
    ": a program was not found, or mpirun itself, which Open MPI brings (Debian and Ubuntu: "
    "openmpi-bin)"
)
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
    terminated job. Of several that failed the first one tells why; the others fail because of it.

    Args:
        job: The job.
        tasks: What became of the tasks launched so far.
        stop: Who wants it to end.

    Returns:
        How it ends (after the tasks that still run have been terminated), or None when it goes on.
        That all its tasks succeeded is for the caller to see, who knows how many there are.
    """
    if have_succeeded(tasks):
        return None
    failed = _lost(tasks) or _failed(job, tasks)
    if failed is not None:
        return failed
    if stop is None:
        terminated = [t for t in _ended(tasks.values()) if t.reason == "terminated"]
        # Not by this service: somebody sent the supervisor a SIGTERM.
        return _stopped(tasks, Stop("The job was terminated on its node")) if terminated else None
    return _stopped(tasks, stop)


def have_succeeded(tasks: Mapping[str, TaskStatus]) -> bool:
    """Tell whether the processes that decide on a job have succeeded, those launched so far.

    Args:
        tasks: The job's tasks.
    """
    deciding = _deciding(tasks)
    return bool(deciding) and all(map(_succeeded, deciding.values()))


def has_failed(job: JobRecord, tasks: Mapping[str, TaskStatus]) -> bool:
    """Tell whether a task of a job failed by itself.

    Args:
        job: The job.
        tasks: Its tasks.
    """
    return _failed(job, tasks) is not None


def lost_with(nodes: Mapping[str, str], tasks: Mapping[str, TaskStatus]) -> Outcome:
    """Describe the end of a job that lost nodes.

    Args:
        nodes: Why each node was lost.
        tasks: The job's tasks.
    """
    told = "; ".join(f"node {node}: {why}" for node, why in nodes.items())
    message = f"The job was lost with its node. It was not run again; submit a new job ({told})"
    return Outcome("failed", error=BatchAIError("JobLost", message), ended_at=_last_end(tasks))


def succeeded(tasks: Mapping[str, TaskStatus]) -> Outcome:
    """Describe the end of a job all of whose tasks succeeded.

    Args:
        tasks: Its tasks.
    """
    return Outcome("succeeded", 0, ended_at=_last_end(tasks))


def decides(name: str) -> bool:
    """Tell whether a job goes on as long as one of its tasks does.

    Args:
        name: The task's name.

    Example:
        >>> decides("rank-1"), decides("server-0")
        (True, False)
    """
    role = _role_of(name)
    return role is None or not role.follows


def _lost(tasks: Mapping[str, TaskStatus]) -> Outcome | None:
    if Lost() not in tasks.values():
        return None
    message = (
        "The job was lost: its supervising process was killed or the machine was restarted while "
        "it ran. It was not run again; submit a new job to do so"
    )
    return Outcome("failed", error=BatchAIError("JobLost", message), ended_at=_last_end(tasks))


def _failed(job: JobRecord, tasks: Mapping[str, TaskStatus]) -> Outcome | None:
    failures = [
        (status.ended_at, name, status)
        for name, status in tasks.items()
        if isinstance(status, Ended) and status.reason != "terminated" and not _succeeded(status)
    ]
    if not failures:
        return None
    _, name, first = min(failures, key=lambda failure: failure[:2])
    return Outcome("failed", first.exit_code, _error_of(job, name, first), _last_end(tasks))


def _error_of(job: JobRecord, name: str, status: Ended) -> BatchAIError:
    if status.reason == "time limit":
        return out_of_time(job)
    code, subject, suffix = _described(job, name)
    if status.reason == "not started":
        return BatchAIError(code, f"{subject} was not started: {status.message}")
    hint = _HINTS.get(status.exit_code or 0, "")
    if status.exit_code == _NOT_FOUND and _role_of(name) is MPIRUN:
        hint = _HINT_FOR_MPI
    if status.message:
        hint = f": {status.message}"
    message = f"{subject} failed with exit code {status.exit_code}{hint}. Look at "
    if suffix is None:
        return BatchAIError(code, f"{message}the files of its standard output directory")
    file = f"stderr{suffix}.txt"
    return BatchAIError(code, f"{message}{file} in its standard output directory", {"file": file})


def _described(job: JobRecord, name: str) -> tuple[str, str, str | None]:
    """Return the error's code, what failed, and what follows ``stderr`` in its file's name.

    That is None for a task that this release launches under no such name: engines tell of all that
    they find of a job, and another release may have launched it.
    """
    kind, _, number = name.rpartition("-")
    index = int(number) if number.isdecimal() else None
    role = ROLES.get(kind)
    if kind == _PREPARATION and index is not None and index < len(job.node_ids):
        return "JobPreparationFailed", "Job preparation", preparation_suffix(job, index)
    if role is None or index is None:
        return "JobFailed", f"The job's task {name!r}", None
    subject = "The job" if role in {PROCESS, MPIRUN} else f"The job's {role.label.format(index)}"
    return "JobFailed", subject, role.suffix.format(index)


def _role_of(name: str) -> Role | None:
    return ROLES.get(name.rpartition("-")[0])


def _stopped(tasks: Mapping[str, TaskStatus], stop: Stop) -> Outcome:
    if stop.requeue:
        return Outcome("queued")
    # What was terminated tells more than what had ended before, and what decides than what follows.
    telling = min(
        (
            (status.reason != "terminated", not (_role_of(name) and decides(name)), name, status)
            for name, status in tasks.items()
            if isinstance(status, Ended)
        ),
        key=lambda candidate: candidate[:3],
        default=None,
    )
    return Outcome(
        "failed",
        telling[-1].exit_code if telling else None,
        BatchAIError("JobTerminated", stop.message),
        _last_end(tasks),
    )


def _deciding(tasks: Mapping[str, TaskStatus]) -> dict[str, TaskStatus]:
    """Return the processes that decide on the job, those launched so far."""
    return {name: status for name, status in tasks.items() if _role_of(name) and decides(name)}


def _succeeded(status: TaskStatus) -> bool:
    return isinstance(status, Ended) and (status.reason, status.exit_code) == ("exited", 0)


def _ended(statuses: Iterable[TaskStatus]) -> list[Ended]:
    return [status for status in statuses if isinstance(status, Ended)]


def _last_end(tasks: Mapping[str, TaskStatus]) -> datetime | None:
    return max((status.ended_at for status in _ended(tasks.values())), default=None)
