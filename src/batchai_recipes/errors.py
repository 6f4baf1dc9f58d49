"""The exceptions a caller may see.

::

    BatchAIRecipesError
    ├── ConfigurationError         a value that was given is wrong (also a ValueError)
    │   └── ConfigFileError        a cluster.json or job.json is wrong
    ├── ServiceStartError          the embedded service did not start
    ├── RequestError               a service refused or did not answer a request
    ├── StagingError               files could not be moved to or from a share
    ├── ClusterError               a cluster did not become ready
    ├── JobError
    │   ├── JobFailedError         a job ended in the state "failed"
    │   ├── JobsFailedError        some of several jobs failed (a group)
    │   └── WaitTimeoutError       a wait ended before the job did (also a TimeoutError)
    └── CleanUpError               something that a session made could not be deleted (a group)

Each message says what was asked, what went wrong and what to do.
"""

import sys
from collections.abc import Sequence

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


class BatchAIRecipesError(Exception):
    """The root of every exception that this library raises on purpose.

    Example:
        >>> from batchai_recipes import BatchAIRecipesError, ClusterBuilder
        >>> try:
        ...     ClusterBuilder("mycluster").vm_size("STANDARD_NC6").nodes(-1)
        ... except BatchAIRecipesError as error:
        ...     print(error)
        The number of nodes of a cluster is a whole number of at least 0, not -1
    """


class ConfigurationError(BatchAIRecipesError, ValueError):
    """A value given to a builder, a session or a setting is wrong.

    Example:
        >>> from batchai_recipes import CustomJobBuilder
        >>> CustomJobBuilder("myjob").priority("urgent")
        Traceback (most recent call last):
            ...
        batchai_recipes.errors.ConfigurationError: 'urgent' is no priority: use 'low', 'normal' or \
'high'
    """


class ConfigFileError(ConfigurationError):
    """A configuration file of a cluster or a job is wrong, or cannot be read or written.

    Args:
        file: The file, as it was named.
        place: Where in it, such as ``properties.nodeSetup.mountVolumes``; empty for the whole.
        problem: What is wrong, and what to do.

    Example:
        >>> print(ConfigFileError("job.json", "properties.nodeCont", "no such property"))
        job.json: properties.nodeCont: no such property
    """

    def __init__(self, file: str, place: str, problem: str) -> None:
        super().__init__(file, place, problem)
        self.file = file
        self.place = place
        self.problem = problem

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.file, self.place, self.problem)))


class ServiceStartError(BatchAIRecipesError):
    """The embedded service did not start.

    Example:
        >>> from pathlib import Path
        >>> from batchai_recipes import Connection, ServiceStartError
        >>> try:
        ...     Connection.embedded(Path("/dev/null"))
        ... except ServiceStartError as error:
        ...     print(str(error).partition(": ")[0])
        The state directory /dev/null cannot be made
    """


class RequestError(BatchAIRecipesError):
    """A service refused a request or did not answer it.

    Example:
        >>> from batchai_recipes import ClusterBuilder, CustomJobBuilder, FileShareStaging
        >>> from batchai_recipes import RequestError, TrainingSession
        >>> staging = FileShareStaging("demo")
        >>> cluster = ClusterBuilder("mycluster").vm_size("STANDARD_NC6").mount(staging, at="share")
        >>> job = CustomJobBuilder("myjob").command_line("echo hello")
        >>> with TrainingSession(cluster, staging=staging) as session:
        ...     run = session.submit(job)
        ...     try:
        ...         session.submit(job)
        ...     except RequestError as error:
        ...         print(str(error).partition(":")[0])
        Failed to create job myjob
    """


class StagingError(BatchAIRecipesError):
    """Files could not be moved to or from a file share.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from batchai_recipes import ClusterBuilder, FileShareStaging
        >>> from batchai_recipes import StagingError, TrainingSession
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     script = Path(folder, "train.py")
        ...     _ = script.write_text("print('hello')")
        ...     staging = FileShareStaging("demo").upload(script)
        >>> cluster = ClusterBuilder("mycluster").vm_size("STANDARD_NC6").mount(staging, at="share")
        >>> try:
        ...     with TrainingSession(cluster, staging=staging):
        ...         pass
        ... except StagingError as error:
        ...     print(str(error).rpartition(": ")[2])
        No such file or directory
    """


class ClusterError(BatchAIRecipesError):
    """A cluster did not become ready.

    Example:
        >>> from batchai_recipes import ClusterBuilder, ClusterError, FileShareStaging
        >>> from batchai_recipes import TrainingSession
        >>> staging = FileShareStaging("demo")
        >>> cluster = ClusterBuilder("mycluster").vm_size("STANDARD_NC6").mount(staging, at="share")
        >>> try:
        ...     with TrainingSession(cluster.setup_task("exit 3"), staging=staging):
        ...         pass
        ... except ClusterError as error:
        ...     print(str(error).splitlines()[0])
        Cluster mycluster did not become ready: 1 of 1 nodes are unusable.
    """


class JobError(BatchAIRecipesError):
    """The root of what can go wrong with one job.

    Example:
        >>> from batchai_recipes import JobError, JobFailedError
        >>> error: JobError = JobFailedError("myjob", None, ["JobLost: the machine restarted"], "")
        >>> print(error)
        Job myjob failed without an exit code.
          JobLost: the machine restarted
        Its standard error is empty.
    """


class JobFailedError(JobError):
    """A job ended in the state ``failed``.

    Args:
        job: The job's name.
        exit_code: The exit code of its process; None when it never ran or was ended by the service.
        errors: What the service says of it, each as ``CODE: message``.
        stderr_tail: The end of its standard error, possibly empty; None where it cannot be read.

    Example:
        >>> error = JobFailedError("myjob", 2, ["JobFailed: it exited with 2"], "no such file")
        >>> print(error)
        Job myjob failed with exit code 2.
          JobFailed: it exited with 2
        The end of its standard error:
          no such file
    """

    def __init__(
        self, job: str, exit_code: int | None, errors: Sequence[str], stderr_tail: str | None
    ) -> None:
        super().__init__(job, exit_code, tuple(errors), stderr_tail)
        self.job = job
        self.exit_code = exit_code
        self.errors = tuple(errors)
        self.stderr_tail = stderr_tail

    def __str__(self) -> str:
        ending = "without an exit code" if self.exit_code is None else f"exit code {self.exit_code}"
        joint = " " if self.exit_code is None else " with "
        lines = [f"Job {self.job} failed{joint}{ending}."]
        lines += [f"  {line}" for error in self.errors for line in error.splitlines()]
        if self.stderr_tail is not None and self.stderr_tail.strip():
            lines.append("The end of its standard error:")
            lines += [f"  {line}" for line in self.stderr_tail.rstrip().splitlines()]
        elif self.stderr_tail is not None:
            lines.append("Its standard error is empty.")
        return "\n".join(lines)


class WaitTimeoutError(JobError, TimeoutError):
    """A wait ended before the job did; the job goes on.

    Example:
        >>> from batchai_recipes import ClusterBuilder, CustomJobBuilder, FileShareStaging
        >>> from batchai_recipes import TrainingSession, WaitTimeoutError
        >>> staging = FileShareStaging("demo")
        >>> cluster = ClusterBuilder("mycluster").vm_size("STANDARD_NC6").mount(staging, at="share")
        >>> with TrainingSession(cluster, staging=staging) as session:
        ...     run = session.submit(CustomJobBuilder("myjob").command_line("sleep 60"))
        ...     try:
        ...         run.wait(timeout=0.1)
        ...     except WaitTimeoutError:
        ...         run.terminate()
        ...     print(run.state)
        failed
    """


class JobsFailedError(JobError, ExceptionGroup[Exception]):
    """Some of several jobs failed; the group holds the error of each.

    The runs of the others were given before it is raised.

    Example:
        >>> failure = JobFailedError("myjob", 2, [], "")
        >>> print(JobsFailedError("1 of 3 jobs failed", [failure]))
        1 of 3 jobs failed (1 sub-exception)
    """


class CleanUpError(BatchAIRecipesError, ExceptionGroup[Exception]):
    """Something that a session made could not be deleted; the group holds one error for each.

    Raised only when the block itself ended without an exception. Otherwise the failures are noted
    on that (since Python 3.11) and logged, or written to the standard error where no log is
    configured, so that they do not hide what the block raised.

    Example:
        >>> from batchai_recipes import CleanUpError, RequestError
        >>> error = CleanUpError("1 of 2 could not be deleted", [RequestError("no answer")])
        >>> [str(failure) for failure in error.exceptions]
        ['no answer']
    """
