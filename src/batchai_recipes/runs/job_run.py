"""JobRun: one submitted job, to wait for, stream from and download from."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from batchai_recipes.connection import Connection
from batchai_recipes.errors import BatchAIRecipesError, JobFailedError, WaitTimeoutError
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.runs.job_output import JobOutput, read_tail
from batchai_recipes.runs.job_place import JobPlace
from batchai_recipes.runs.stream import follow_lines

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import BatchAIError, Job

ExecutionState: TypeAlias = Literal["queued", "running", "terminating", "succeeded", "failed"]

_ENDED: Final = frozenset({"succeeded", "failed"})
_STDERR_TAIL_BYTES: Final = 4096
_FIRST_PROCESS: Final = ("", "-0", "-wk-0")


class JobRun:
    """A submitted job; :meth:`TrainingSession.submit` makes it.

    Args:
        connection: Where the job is.
        place: The names that lead to it.
        report: Told of each change of state.
        pacing: How often to look while waiting.

    Raises:
        JobFailedError: From :meth:`wait`: the job failed.
        RequestError: From all methods: the service did not answer.

    Example:
        >>> from batchai_recipes import ClusterBuilder, CustomJobBuilder, TrainingSession
        >>> from batchai_recipes import FileShareStaging
        >>> staging = FileShareStaging("demo")
        >>> cluster = ClusterBuilder("mycluster").vm_size("STANDARD_NC6").mount(staging, at="share")
        >>> with TrainingSession(cluster, staging=staging) as session:
        ...     run = session.submit(CustomJobBuilder("myjob").command_line("echo hello"))
        ...     print(*run.stream())
        ...     print(run.wait().state)
        hello
        succeeded
    """

    def __init__(
        self,
        connection: Connection,
        place: JobPlace,
        *,
        report: Callable[[str], None],
        pacing: Pacing,
    ) -> None:
        self._connection = connection
        self._place = place
        self._report = report
        self._pacing = pacing
        self._last_state: str | None = None

    @property
    def name(self) -> str:
        """The job's name."""
        return self._place.job

    @property
    def state(self) -> ExecutionState:
        """The job's execution state, as the service tells it now.

        Raises:
            RequestError: The service did not answer, or the job was deleted.
        """
        return self._state_of(self.details())

    def details(self) -> "Job":
        """Ask the service for everything it says of the job.

        Raises:
            RequestError: The service did not answer, or the job was deleted.
        """
        with explained(f"get job {self.name}"):
            return self._connection.batchai.jobs.get(*self._place.names)

    def wait(self, timeout: float | None = None) -> "JobRun":
        """Wait until the job has succeeded.

        Args:
            timeout: How long to wait at most, in seconds; None for as long as it takes.

        Returns:
            This run, for chaining.

        Raises:
            JobFailedError: The job failed; the error has its exit code and the end of its stderr.
            WaitTimeoutError: The job had not ended in time; it goes on.
            RequestError: The service did not answer.
        """
        started = self._pacing.monotonic()
        pauses = self._pacing.pauses()
        while True:
            job = self.details()
            state = self._state_of(job)
            if state == "failed":
                raise self._failure(job)
            if state == "succeeded":
                return self
            if timeout is not None and self._pacing.monotonic() - started > timeout:
                raise WaitTimeoutError(
                    f"Job {self.name} was still {state} after {timeout:g} s; it goes on"
                )
            next(pauses)

    def stream(self, file: str | None = None) -> Iterator[str]:
        """Yield the lines of a log while the job writes them, from the first to the last.

        Ends when the job has ended and its last line is out, whether it succeeded or not.

        Args:
            file: The log's name, such as ``stderr.txt`` or ``execution.log``; None for the
                standard output of the job's first process, which is ``stdout.txt``, or
                ``stdout-0.txt`` with PyTorch and Caffe2, or ``stdout-wk-0.txt`` with TensorFlow.

        Raises:
            RequestError: The service did not answer.
        """
        logs = (file,) if file else tuple(f"stdout{suffix}.txt" for suffix in _FIRST_PROCESS)
        yield from follow_lines(
            self.outputs("stdouterr"), logs, ended=lambda: self.state in _ENDED, pacing=self._pacing
        )

    def outputs(self, id: str) -> JobOutput:  # noqa: A002 - the API's own word
        """Return one of the job's output directories.

        Args:
            id: The id that the job declared, or ``stdouterr`` for its logs.
        """
        return JobOutput(self._connection, self._place, id)

    def terminate(self) -> None:
        """End the job; without effect when it has ended.

        Raises:
            RequestError: The service did not answer.
        """
        with explained(f"terminate job {self.name}"):
            self._connection.batchai.jobs.begin_terminate(*self._place.names).wait()

    def __repr__(self) -> str:
        return f"JobRun({self.name!r})"

    def _state_of(self, job: "Job") -> ExecutionState:
        state = str(getattr(job.execution_state, "value", job.execution_state))
        if state != self._last_state:
            self._report(f"Job state: {state}")
            self._last_state = state
        return cast(ExecutionState, state)

    def _failure(self, job: "Job") -> JobFailedError:
        info = job.execution_info
        reported: list[BatchAIError] = list(info.errors or ()) if info else []
        errors = [f"{e.code}: {e.message}" for e in reported]
        details = [detail for e in reported for detail in e.details or ()]
        # The service names the file of the process that failed; else it is the first one's.
        named = [str(detail.value) for detail in details if detail.name == "file"]
        logs = named or [f"stderr{suffix}.txt" for suffix in _FIRST_PROCESS]
        try:
            tail = read_tail(self.outputs("stdouterr"), logs, _STDERR_TAIL_BYTES)
        except BatchAIRecipesError as error:
            errors.append(f"{logs[0]} could not be read: {error}")
            tail = ""
        return JobFailedError(self.name, info.exit_code if info else None, errors, tail)
