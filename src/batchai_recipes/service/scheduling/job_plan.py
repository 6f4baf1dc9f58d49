"""The tasks that make up a job on its nodes."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from attrs import frozen

from batchai_recipes.service.batchai_error import BatchAIError
from batchai_recipes.service.duration import parse_duration
from batchai_recipes.service.engines.engine import Engine, Node, Task, TaskKey
from batchai_recipes.service.scheduling.job_environment import (
    DirectoryError,
    JobEnvironment,
    job_environment,
    with_program_first,
)
from batchai_recipes.service.scheduling.job_records import JobRecord
from batchai_recipes.service.toolkits.registry import processes_of
from batchai_recipes.service.toolkits.toolkit import Process, ToolkitError
from batchai_recipes.service.variables import (
    UndefinedVariableError,
    check_references,
    expand_path,
)

PREPARATION_PREFIX = "preparation-"
PROCESS_PREFIX = "process-"
_DEFAULT_LIMIT = "P7D"


class JobError(Exception):
    """A job cannot run.

    Args:
        error: What the job reports of itself.
    """

    def __init__(self, error: BatchAIError) -> None:
        super().__init__(error.message)
        self.error = error


@frozen
class JobPlan:
    """What a job runs.

    Args:
        preparation: Runs on each node first; all of it must succeed.
        processes: The processes of the toolkit, the master's first.
    """

    preparation: tuple[Task, ...]
    processes: tuple[Task, ...]


def plan_job(job: JobRecord, engine: Engine, interpreter: str, now: datetime) -> JobPlan:
    """Turn a job that has its nodes into tasks.

    Args:
        job: The job.
        engine: Knows its nodes.
        interpreter: The Python to use where the job names none.
        now: The present time, for what is left of the job's wall-clock time.

    Returns:
        The tasks. The same job gives tasks of the same names, whenever it is planned.

    Raises:
        JobError: Its settings cannot be run.
    """
    try:
        return _Planner(job, engine, interpreter, _remaining_seconds(job, now)).plan()
    except (DirectoryError, ToolkitError, UndefinedVariableError, ValueError) as error:
        raise JobError(BatchAIError("JobFailed", f"The job was not started: {error}")) from error
    except (AttributeError, LookupError, TypeError) as error:
        # Management checks what it accepts; a record that slipped through must not stop the others.
        message = f"The job was not started: its settings are malformed ({error!r})"
        raise JobError(BatchAIError("JobFailed", message)) from error


class _Planner:
    def __init__(
        self, job: JobRecord, engine: Engine, interpreter: str, remaining_seconds: float
    ) -> None:
        self._job = job
        self._interpreter = interpreter
        self._remaining_seconds = remaining_seconds
        self._folders = engine.job(job.uid, job.node_ids)
        self._nodes: Mapping[str, Node] = {node: engine.node(node) for node in job.node_ids}
        self._environments = {
            node: job_environment(job, node, self._nodes, self._folders) for node in job.node_ids
        }

    def plan(self) -> JobPlan:
        processes = processes_of(self._job.properties, self._job.node_count, self._interpreter)
        return JobPlan(
            preparation=self._preparation(processes[0]),
            processes=tuple(self._process(i, process) for i, process in enumerate(processes)),
        )

    def _preparation(self, master: Process) -> tuple[Task, ...]:
        command_line = (self._job.properties.get("jobPreparation") or {}).get("commandLine")
        if not command_line:
            return ()
        return tuple(
            self._task(
                name=f"{PREPARATION_PREFIX}{index}",
                label="job preparation",
                process=Process(index, command_line, master.program),
                task_index=index,
                suffix="-job_prep" if index == 0 else f"-job_prep-{index}",
            )
            for index in range(len(self._job.node_ids))
        )

    def _process(self, index: int, process: Process) -> Task:
        return self._task(
            name=f"{PROCESS_PREFIX}{index}",
            label="job" if index == 0 else f"process {index}",
            process=process,
            task_index=index,
            suffix="" if index == 0 else f"-{index}",
            notes=self._notes() if index == 0 else (),
        )

    def _task(
        self,
        *,
        name: str,
        label: str,
        process: Process,
        task_index: int,
        suffix: str,
        notes: tuple[str, ...] = (),
    ) -> Task:
        node_id = self._job.node_ids[process.node_index]
        found = self._environments[node_id]
        check_references(process.command_line, {**found.known, "AZ_BATCHAI_TASK_INDEX": ""})
        return Task(
            key=TaskKey("job", self._job.uid, name),
            node_id=node_id,
            label=label,
            command_line=process.command_line,
            environment={
                **found.variables,
                "PATH": self._path(found, process.program),
                "AZ_BATCHAI_TASK_INDEX": str(task_index),
                **process.environment,
            },
            working_directory=self._folders.temp[node_id],
            directories=found.directories,
            stdout=f"{found.stdouterr}/stdout{suffix}.txt",
            stderr=f"{found.stdouterr}/stderr{suffix}.txt",
            log=f"{found.stdouterr}/execution.log",
            notes=notes,
            time_limit_seconds=self._remaining_seconds,
        )

    def _path(self, found: JobEnvironment, program: str) -> str:
        if "PATH" in found.variables:
            return found.variables["PATH"]  # the job's user knows best
        expanded = expand_path(program, found.known)
        return with_program_first(found.known.get("PATH", ""), expanded, self._interpreter)

    def _notes(self) -> tuple[str, ...]:
        nodes = ", ".join(self._job.node_ids)
        notes = [f"job {self._job.name} ({self._job.uid}) on {nodes}"]
        container = self._job.properties.get("containerSettings")
        if container:
            image = (container.get("imageSourceRegistry") or {}).get("image")
            notes.append(
                f"container image {image}: not used, since this service runs no containers; the "
                "job runs directly on the host, with what is installed there"
            )
        return tuple(notes)


def _remaining_seconds(job: JobRecord, now: datetime) -> float:
    text = (job.properties.get("constraints") or {}).get("maxWallClockTime") or _DEFAULT_LIMIT
    elapsed = now - job.started_at if job.started_at else timedelta()
    remaining = (parse_duration(str(text)) - elapsed).total_seconds()
    if remaining <= 0:
        raise JobError(out_of_time(job))
    return remaining


def out_of_time(job: JobRecord) -> BatchAIError:
    """Describe that a job has used up its wall-clock time.

    Args:
        job: The job.
    """
    limit = (job.properties.get("constraints") or {}).get("maxWallClockTime") or _DEFAULT_LIMIT
    return BatchAIError(
        "JobMaxWallClockTimeExceeded",
        f"The job ran longer than its maxWallClockTime {limit} and was terminated: raise "
        "constraints.maxWallClockTime if it needs more",
    )
