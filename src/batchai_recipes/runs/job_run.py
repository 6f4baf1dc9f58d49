"""JobRun: one submitted job, to wait for, stream from and download from."""

import logging
import re
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Final

from batchai_recipes.connection import Connection
from batchai_recipes.errors import (
    ConfigurationError,
    JobError,
    RequestError,
    WaitTimeoutError,
)
from batchai_recipes.names import nearest
from batchai_recipes.notebook import table
from batchai_recipes.outage import Outage
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.runs.job_failure import job_failure
from batchai_recipes.runs.job_output import JobOutput
from batchai_recipes.runs.job_place import JobPlace
from batchai_recipes.runs.log_names import LogNames
from batchai_recipes.runs.metrics import METRICS_FILE, Metrics, compiled_pattern
from batchai_recipes.runs.output_reader import last_lines
from batchai_recipes.runs.state_change import (
    ENDED,
    ExecutionState,
    StateChange,
    StateChanges,
    state_of,
)
from batchai_recipes.runs.stream import LineSplitter, LogFollower
from batchai_recipes.seconds import checked_seconds
from batchai_recipes.terminal import say, waiting
from batchai_recipes.tracing import span, spanned

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Job
    from matplotlib.figure import Figure

_LOG: Final = logging.getLogger("batchai_recipes.runs")
_LOGS: Final = "stdouterr"


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
        self._changes = StateChanges(place.job)
        self._outage = Outage(f"job {place.job}", pacing, report)

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

    def wait(
        self,
        timeout: float | None = None,
        *,
        on_change: Callable[[StateChange], object] | None = None,
    ) -> "JobRun":
        """Wait until the job has succeeded.

        A service that does not answer for a while, as when it is restarted, is waited for too: for
        as long as ``Pacing(outage=SECONDS)`` says, five minutes if nothing else is said.

        Args:
            timeout: How long to wait at most, in seconds; None for as long as it takes.
            on_change: Called with each change of the job's state, those before the call too.

        Returns:
            This run, for chaining.

        Raises:
            JobFailedError: The job failed; the error has its exit code and the end of its stderr.
            WaitTimeoutError: The job had not ended in time; it goes on.
            ConfigurationError: The timeout is no number of seconds.
            RequestError: The service did not answer, for longer than that.
        """
        told = 0
        with span("wait for job", job=self.name), waiting(f"Job {self.name}") as shown:
            for job in self._looks(timeout):
                shown.state(state_of(job))
                for change in self._changes.all[told:]:
                    told += 1
                    if on_change:
                        on_change(change)
                if state_of(job) == "failed":
                    raise job_failure(self.name, job, self.outputs(_LOGS))
        return self

    def watch(self, *files: str, prefix: bool | None = None) -> "JobRun":
        """Print the lines of logs while the job writes them, and wait until it has succeeded.

        In a terminal, the job's state, how far it is (from lines such as ``Epoch[1 of 2]`` or
        ``epoch 1/2``) and the time passed stand below them.

        Args:
            files: As for :meth:`stream`.
            prefix: As for :meth:`stream`.

        Returns:
            This run, for chaining.

        Raises:
            JobFailedError: The job failed; the error has its exit code and the end of its stderr.
            ConfigurationError: A name is empty.
            RequestError: As for :meth:`stream`.
        """
        lines = self.stream(*files, prefix=prefix)
        with waiting(f"Job {self.name}") as shown:
            for line in lines:
                say(line)
                shown.line(line)
                shown.state(self._changes.all[-1].state)
        return self.wait()

    def events(self, timeout: float | None = None) -> Iterator[StateChange]:
        """Yield each change of the job's state with its time, from the first to the last.

        Ends when the job has ended, whether it succeeded or not.

        Args:
            timeout: How long to wait at most, in seconds; None for as long as it takes.

        Raises:
            WaitTimeoutError: The job had not ended in time; it goes on.
            ConfigurationError: The timeout is no number of seconds.
            RequestError: The service did not answer.
        """
        told = 0
        for _ in self._looks(timeout):
            for change in self._changes.all[told:]:
                yield change
                told += 1

    def stream(self, *files: str, prefix: bool | None = None) -> Generator[str, None, None]:
        """Yield the lines of logs while the job writes them, from the first to the last.

        Ends when the job has ended and its last line is out, whether it succeeded or not. A link
        that runs out and a connection that drops are renewed; no line is lost or comes twice. A
        service that does not answer for a while is waited for, as by :meth:`wait`.

        Args:
            files: The logs' names, such as ``stderr.txt`` or ``execution.log``, or patterns of
                them, such as ``stdout-*.txt`` for all processes of a job. Without any, the
                standard output of the job's first process, which is ``stdout.txt``, or
                ``stdout-0.txt`` with PyTorch and Caffe2, or ``stdout-wk-0.txt`` with TensorFlow.
            prefix: Whether each line begins with its log's name and a colon; None where several
                logs, or a pattern, are named.

        Raises:
            ConfigurationError: A name is empty.
            RequestError: The service did not answer, or the job succeeded and never wrote a log
                that was named.
        """
        logs = LogNames.of(files)
        named = logs.several if prefix is None else prefix
        return spanned("stream", self._stream(logs, named=named), job=self.name)

    def logs(self, file: str | None = None, *, last: int | None = None) -> str:
        """Return the text of a log, as far as it is written.

        Args:
            file: The log's name; None for the standard output of the job's first process.
            last: How many of its last lines; None for all.

        Raises:
            ConfigurationError: `last` is negative.
            RequestError: There is no such log (yet), or the service did not answer.
        """
        if last is not None and last < 0:
            raise ConfigurationError(f"last is {last}: use the number of lines, 0 or more")
        with self.outputs(_LOGS).open(self._log(file)) as log:
            content = log.read() if last is None else last_lines(log, last)
        return content.decode(errors="replace")

    def metrics(
        self,
        pattern: str | re.Pattern[str] | None = None,
        *,
        file: str | None = None,
        output: str | None = None,
    ) -> Metrics:
        """Return the metrics that the job has written so far.

        Args:
            pattern: A regular expression with named groups, looked for in each line of a log; None
                for a file of JSON objects, one a line.
            file: The file; None for ``metrics.jsonl`` or, with a pattern, for the standard output
                of the job's first process.
            output: The output directory that the file is in; None for the first that has it or,
                with a pattern, for that of the logs.

        Raises:
            ConfigurationError: The pattern is no regular expression or has no named group.
            JobError: No output directory has the file, or a line of it is no JSON object.
            RequestError: The service did not answer, or there is no such log (yet).
        """
        if pattern is not None:
            compiled = compiled_pattern(pattern)
            directory = self.outputs(output or _LOGS)
            name = self._log(file) if output is None else file or METRICS_FILE
            splitter = LineSplitter()
            with directory.open(name) as log:
                lines = [*splitter.feed(log.read()), *splitter.rest()]
            return Metrics.from_lines(lines, compiled)
        name = file or METRICS_FILE
        directory = self.outputs(output) if output else self._holder(name)
        with directory.open(name) as records:
            text = records.read().decode(errors="replace")
        return Metrics.from_json_lines(text, f"{name} of job {self.name}")

    def plot(
        self,
        *columns: str,
        x: str | None = None,
        pattern: str | re.Pattern[str] | None = None,
        file: str | None = None,
        output: str | None = None,
    ) -> "Figure":
        """Draw the job's metrics with matplotlib; see :meth:`metrics` and :meth:`Metrics.plot`.

        Args:
            columns: What to draw; without any, all columns of numbers but the axis.
            x: The column along the axis; None for the one that counts the others.
            pattern: As for :meth:`metrics`.
            file: As for :meth:`metrics`.
            output: As for :meth:`metrics`.

        Returns:
            The figure: a notebook shows it, ``figure.savefig("metrics.png")`` writes it.

        Raises:
            ConfigurationError: matplotlib is not installed, there is nothing to draw, or a column
                is not there or not of numbers.
            JobError: As for :meth:`metrics`.
        """
        metrics = self.metrics(pattern, file=file, output=output)
        return metrics.plot(*columns, x=x, title=f"Job {self.name}")

    def outputs(self, id: str) -> JobOutput:  # noqa: A002 - the API's own word
        """Return one of the job's output directories.

        Args:
            id: The id that the job declared, or ``stdouterr`` for its logs.
        """
        return JobOutput(self._connection, self._place, id, pacing=self._pacing)

    def terminate(self) -> None:
        """End the job; without effect when it has ended.

        Raises:
            RequestError: The service did not answer.
        """
        with span("terminate job", job=self.name), explained(f"terminate job {self.name}"):
            self._connection.batchai.jobs.begin_terminate(*self._place.names).wait()

    def __repr__(self) -> str:
        return f"JobRun({self.name!r})"

    def _repr_html_(self) -> str:
        """Return where the job is and its states so far as a table, for notebooks; asks nobody."""
        place = self._place
        rows: dict[str, object] = {
            "resource group": place.resource_group,
            "workspace": place.workspace,
            "experiment": place.experiment,
            "state": self._last_state or "not asked for yet",
            "changes": tuple(f"{change.state} {change.time or ''}" for change in self._changes.all),
        }
        return table(f"Job {self.name}", rows)

    @property
    def _last_state(self) -> ExecutionState | None:
        changes = self._changes.all
        return changes[-1].state if changes else None

    def _looks(self, timeout: float | None) -> Iterator["Job"]:
        """Yield what the service says of the job now and then, until it has ended."""
        checked_seconds("timeout", timeout, without="to wait as long as it takes")
        started = self._pacing.monotonic()
        pauses = self._pacing.pauses()
        while True:
            left = None
            if timeout is not None:
                left = max(0.0, started + timeout - self._pacing.monotonic())
            job = self._outage.through(self.details, timeout=left)
            state = self._state_of(job)
            yield job
            if state in ENDED:
                return
            if timeout is not None and self._pacing.monotonic() - started > timeout:
                raise WaitTimeoutError(
                    f"Job {self.name} was still {state} after {timeout:g} s; it goes on"
                )
            next(pauses)

    def _stream(self, logs: LogNames, *, named: bool) -> Iterator[str]:
        follower = LogFollower(
            self.outputs(_LOGS),
            logs,
            self.name,
            ended=lambda: self.state in ENDED,
            pacing=self._pacing,
            outage=self._outage,
        )
        for name, line in follower.lines():
            yield f"{name}: {line}" if named else line
        # A failed job need not have come so far; what it lacks must not hide why it failed.
        if not logs.alternatives and follower.missing and self._last_state == "succeeded":
            raise self._no_log(follower.missing[0])

    def _log(self, file: str | None) -> str:
        """Return the name of a log that there is."""
        logs = LogNames.of([] if file is None else [file])
        if file is not None and not logs.several:
            return file
        found = logs.among(entry.path for entry in self.outputs(_LOGS).files())
        if len(found) != 1:
            if found:
                raise ConfigurationError(f"{file!r} stands for several logs: {', '.join(found)}")
            raise self._no_log(logs.names[0])
        return found[0]

    def _no_log(self, name: str) -> RequestError:
        hint = nearest(name, [entry.path for entry in self.outputs(_LOGS).files()])
        return RequestError(f"Job {self.name} ({self._last_state}) has no log {name!r}: {hint}")

    def _holder(self, name: str) -> JobOutput:
        """Return the output directory that has a file."""
        declared = [str(output.id) for output in self.details().output_directories or ()]
        for id_ in (*declared, _LOGS):
            output = self.outputs(id_)
            if any(entry.path == name for entry in output.files()):
                return output
        raise JobError(
            f"Job {self.name} has no file {name!r} in its output directories "
            f"{', '.join([*declared, _LOGS])} (yet): name the file with file=, or give a pattern "
            f"for lines of its log"
        )

    def _state_of(self, job: "Job") -> ExecutionState:
        state = state_of(job)
        if self._changes.look(job):
            self._report(f"Job state: {state}")
            _LOG.debug("Job %s is %s", self.name, state)
        return state
