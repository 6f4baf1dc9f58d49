"""The states that a job passes through, and when."""

import threading
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from attrs import frozen

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Job

ExecutionState: TypeAlias = Literal["queued", "running", "terminating", "succeeded", "failed"]

ENDED: Final[frozenset[str]] = frozenset({"succeeded", "failed"})


@frozen
class StateChange:
    """A job got into a state.

    Args:
        job: The job's name.
        state: ``queued``, ``running``, ``terminating``, ``succeeded`` or ``failed``.
        time: When, as the service tells it, in UTC; None where it does not.

    Example:
        >>> from datetime import timezone
        >>> print(StateChange("myjob", "running", datetime(2018, 6, 7, 0, 55, tzinfo=timezone.utc)))
        2018-06-07 00:55:00+00:00 Job myjob: running
    """

    job: str
    state: ExecutionState
    time: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether the job will not get into another state."""
        return self.state in ENDED

    def __str__(self) -> str:
        when = f"{self.time} " if self.time else ""
        return f"{when}Job {self.job}: {self.state}"


class StateChanges:
    """The changes of a job's state, found in what the service says of it now and then.

    States that lie between two looks are found too, as far as the service tells when they began.

    Args:
        job: The job's name.
    """

    def __init__(self, job: str) -> None:
        self._job = job
        self._last: ExecutionState | None = None
        self._lock = threading.Lock()
        self.all: list[StateChange] = []

    def look(self, job: "Job") -> bool:
        """Add what changed since the last look to :attr:`all`.

        Args:
            job: What the service says of the job now.

        Returns:
            Whether anything changed.
        """
        with self._lock:
            known = len(self.all)
            self.all.extend(self._new(job))
            return len(self.all) > known

    def _new(self, job: "Job") -> Iterator[StateChange]:
        """Yield what changed since the last look, the oldest first."""
        state = state_of(job)
        if state == self._last:
            return
        info = job.execution_info
        started = info.start_time if info else None
        if self._last is None and state != "queued":
            yield StateChange(self._job, "queued", _time(job, "creation_time"))
        if state in ENDED and started and self._last in {None, "queued"}:
            yield StateChange(self._job, "running", started)
        time = _time(job, "execution_state_transition_time")
        if state == "running":
            time = started or time
        elif state in ENDED and info:
            time = info.end_time or time
        self._last = state
        yield StateChange(self._job, state, time)


def state_of(job: "Job") -> ExecutionState:
    """Return a job's state in the contract's own word."""
    state = getattr(job.execution_state, "value", job.execution_state)
    return cast(ExecutionState, str(state))


def _time(job: "Job", name: str) -> datetime | None:
    # The package declares its read-only attributes as None, so their types are looked up by name.
    time = getattr(job, name, None)
    return time if isinstance(time, datetime) else None
