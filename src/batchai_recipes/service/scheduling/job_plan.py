"""The tasks that make up a job on its nodes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from attrs import frozen

from batchai_recipes.service.batchai_error import BatchAIError
from batchai_recipes.service.duration import parse_duration
from batchai_recipes.service.engines.engine import (
    Container,
    Engine,
    EngineError,
    Node,
    Task,
    TaskKey,
)
from batchai_recipes.service.scheduling.job_environment import (
    DirectoryError,
    JobEnvironment,
    job_environment,
    with_program_first,
)
from batchai_recipes.service.scheduling.job_records import JobRecord
from batchai_recipes.service.toolkits.registry import toolkit_of
from batchai_recipes.service.toolkits.toolkit import Process, ToolkitError, ToolkitJob
from batchai_recipes.service.variables import (
    UndefinedVariableError,
    check_references,
    expand_path,
)

PREPARATION_PREFIX = "preparation-"
INTERPRETER_OF_IMAGES = "python"
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
        processes: The processes of the toolkit, those that decide on the job first.
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
        NotYetError: The engine does not know yet what the plan needs to know of a node.
    """
    try:
        return _Planner(job, engine, interpreter, _remaining_seconds(job, now)).plan()
    except (DirectoryError, EngineError, ToolkitError, UndefinedVariableError, ValueError) as error:
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
        self._engine = engine
        self._interpreter = interpreter
        self._remaining_seconds = remaining_seconds
        self._container: Mapping[str, Any] = job.properties.get("containerSettings") or {}
        self._folders = engine.job(job.uid, job.node_ids)
        self._nodes: Mapping[str, Node] = {node: engine.node(node) for node in job.node_ids}
        self._environments = {
            node: job_environment(job, node, self._nodes, self._folders) for node in job.node_ids
        }

    def plan(self) -> JobPlan:
        places = tuple(found.variables({}) for found in self._environments.values())
        processes = self._processes(self._interpreter, places)
        inside = processes
        if self._container:
            # The image has a Python of its own, if any; and in a container that stands for several
            # nodes there are only the folders of the master.
            inside = self._processes(INTERPRETER_OF_IMAGES, places[:1] * len(places))
        return JobPlan(
            preparation=self._preparation(processes[0]),
            processes=tuple(
                self._process(process, within, notes=() if number else self._notes())
                for number, (process, within) in enumerate(zip(processes, inside, strict=True))
            ),
        )

    def _processes(
        self, interpreter: str, places: tuple[Mapping[str, str], ...]
    ) -> tuple[Process, ...]:
        toolkit, settings = toolkit_of(self._job.properties)
        return toolkit(
            ToolkitJob(
                settings,
                tuple(self._nodes.values()),
                places,
                interpreter,
                self._folders.shared_temp,
                self._ports,
            )
        )

    def _ports(self, node_index: int, count: int) -> tuple[int, ...]:
        return self._engine.ports(self._job.uid, self._job.node_ids[node_index], count)

    def _preparation(self, master: Process) -> tuple[Task, ...]:
        command_line = (self._job.properties.get("jobPreparation") or {}).get("commandLine")
        if not command_line:
            return ()
        return tuple(
            self._task(
                name=f"{PREPARATION_PREFIX}{index}",
                label="job preparation",
                process=(prepared := Process(index, command_line, master.program, index=index)),
                within=prepared,
                suffix=preparation_suffix(self._job, index),
            )
            for index in range(len(self._job.node_ids))
        )

    def _process(self, process: Process, within: Process, notes: tuple[str, ...]) -> Task:
        role = process.role
        return self._task(
            name=f"{role.name}-{process.index}",
            label=role.label.format(process.index),
            process=process,
            within=within,
            suffix=role.suffix.format(process.index),
            notes=notes,
        )

    def _task(
        self,
        *,
        name: str,
        label: str,
        process: Process,
        within: Process,
        suffix: str,
        notes: tuple[str, ...] = (),
    ) -> Task:
        node_id = self._job.node_ids[process.node_index]
        found = self._environments[node_id]
        of_process = {"AZ_BATCHAI_TASK_INDEX": str(process.index), **process.environment}
        check_references(process.command_line, found.known(of_process))
        return Task(
            key=TaskKey("job", self._job.uid, name),
            node_id=node_id,
            label=label,
            command_line=process.command_line,
            environment={
                "PATH": self._path(found.known(of_process), process.program),
                **found.variables(of_process),
            },
            working_directory=self._folders.temp[node_id],
            directories=found.directories,
            stdout=f"{found.stdouterr}/stdout{suffix}.txt",
            stderr=f"{found.stdouterr}/stderr{suffix}.txt",
            log=f"{found.stdouterr}/{self._log_name(process.node_index)}",
            notes=notes,
            time_limit_seconds=self._remaining_seconds,
            container=self._container_of(
                within, found, keeps_changes=name.startswith(PREPARATION_PREFIX)
            ),
        )

    def _container_of(
        self, within: Process, found: JobEnvironment, *, keeps_changes: bool
    ) -> Container | None:
        if not self._container:
            return None
        registry = self._container.get("imageSourceRegistry") or {}
        of_process = {"AZ_BATCHAI_TASK_INDEX": str(within.index), **within.environment}
        return Container(
            image=str(registry.get("image") or ""),
            command_line=within.command_line,
            environment=found.variables(of_process),
            registry=str(registry.get("serverUrl") or ""),
            username=str((registry.get("credentials") or {}).get("username") or ""),
            password=self._job.registry_password,
            shm_size=str(self._container.get("shmSize") or ""),
            keeps_changes=keeps_changes,
        )

    def _log_name(self, node_index: int) -> str:
        # One for each node: several machines cannot add to one file of a share.
        return (
            "execution.log"
            if node_index == 0
            else f"execution-{self._job.node_ids[node_index]}.log"
        )

    def _path(self, known: Mapping[str, str], program: str) -> str:
        expanded = expand_path(program, known)
        return with_program_first(known.get("PATH", ""), expanded, self._interpreter)

    def _notes(self) -> tuple[str, ...]:
        nodes = ", ".join(self._job.node_ids)
        return (f"job {self._job.name} ({self._job.uid}) on {nodes}",)


def _remaining_seconds(job: JobRecord, now: datetime) -> float:
    text = (job.properties.get("constraints") or {}).get("maxWallClockTime") or _DEFAULT_LIMIT
    elapsed = now - job.started_at if job.started_at else timedelta()
    remaining = (parse_duration(str(text)) - elapsed).total_seconds()
    if remaining <= 0:
        raise JobError(out_of_time(job))
    return remaining


def preparation_suffix(job: JobRecord, node_index: int) -> str:
    """Return what follows ``stdout`` in the name of the file of a node's preparation.

    Args:
        job: The job.
        node_index: The node, counted from the master.

    Source:
        ``stdout-job_prep.txt`` in recordings of jobs of one node, ``stdout-job_prep-NODE.txt`` in
        the documentation's listing of a job of four.
    """
    single = len(job.node_ids) == 1
    return "-job_prep" if single else f"-job_prep-{job.node_ids[node_index]}"


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
