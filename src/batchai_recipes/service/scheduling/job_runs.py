"""Running jobs: from their nodes through preparation and processes to their end."""

import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from attrs import Factory, define, frozen

from batchai_recipes.service.batchai_error import BatchAIError
from batchai_recipes.service.engines.engine import (
    Ended,
    Engine,
    EngineError,
    Lost,
    MountError,
    NotYetError,
    Running,
    Task,
    TaskKey,
    TaskStatus,
)
from batchai_recipes.service.scheduling.cluster_records import cluster_of
from batchai_recipes.service.scheduling.job_outcome import (
    Outcome,
    Stop,
    decides,
    has_failed,
    have_succeeded,
    judge,
    lost_with,
    succeeded,
)
from batchai_recipes.service.scheduling.job_plan import JobError, plan_job
from batchai_recipes.service.scheduling.job_records import JobRecord, job_of
from batchai_recipes.service.scheduling.job_standing import JobStanding, standing_of
from batchai_recipes.service.scheduling.job_volumes import JobVolumes
from batchai_recipes.service.scheduling.ledger import Ledger
from batchai_recipes.service.scheduling.volume import VolumeError
from batchai_recipes.service.scheduling.volume_copies import without_copies

_logger = logging.getLogger(__name__)


@frozen
class JobChange:
    """What became of a running job.

    Args:
        job: The job.
        outcome: How it ended; None while it is being terminated.
        ran: Whether anything of it was launched in this run.
    """

    job: JobRecord
    outcome: Outcome | None
    ran: bool


@define
class _Run:
    """What is remembered of a running job so as not to read and plan it anew at each look."""

    job: JobRecord
    phases: tuple[tuple[str, ...], ...] | None = None
    asked: set[str] = Factory(set)
    failure: Outcome | None = None


class JobRuns:
    """Moves running jobs one step on, judged by nothing but records and the engine.

    Args:
        ledger: The records.
        engine: Where the jobs run.
        volumes: Mounts what the jobs mount.
        interpreter: The Python of jobs that name none.
    """

    def __init__(
        self, ledger: Ledger, engine: Engine, volumes: JobVolumes, interpreter: str
    ) -> None:
        self._ledger = ledger
        self._engine = engine
        self._volumes = volumes
        self._interpreter = interpreter
        self._runs: dict[str, _Run] = {}

    def advance(self, uids: Iterable[str]) -> tuple[list[JobChange], list[str]]:
        """Launch what is due, terminate what shall end, find out what has ended.

        Args:
            uids: The jobs; those that do not run are left alone.

        Returns:
            What is to be recorded, and the uids of jobs that are to be tried again later.
        """
        with self._ledger.read() as records:
            found = [self._find(records, uid) for uid in uids]
        changes: list[JobChange] = []
        failed: list[str] = []
        for run, standing in filter(None, found):
            try:
                change = self._advance(run, standing)
            except Exception:  # noqa: PERF203  # each on its own
                # One that cannot be handled, whatever the reason, must not hold up the others.
                _logger.exception("Job %s could not be handled; it is tried again", run.job.uid)
                failed.append(run.job.uid)
            else:
                if change is not None:
                    changes.append(change)
        return changes, failed

    def release(self, changes: Sequence[JobChange]) -> None:
        """Forget the jobs that have ended, once that has been recorded.

        Args:
            changes: What :meth:`advance` returned.
        """
        for change in changes:
            if change.outcome is None:
                continue
            self._runs.pop(change.job.uid, None)
            if change.outcome.state == "queued":
                continue  # released before it was recorded
            self._release(change.job.uid)

    def release_left_over(self) -> None:
        """Remove the folders of jobs that have ended, of which the service died before it could."""
        with self._ledger.read() as records:
            rows = records.execute(
                "SELECT uid FROM jobs WHERE execution_state IN ('running', 'terminating')"
            )
            running = {row["uid"] for row in rows}
        for uid in self._engine.jobs():
            if uid not in running:
                self._release(uid)

    def _release(self, uid: str) -> None:
        try:
            self._engine.release_job(uid)
        except EngineError as error:
            _logger.warning("Job %s has ended, but its folder stays: %s", uid, error)

    def _find(self, records: sqlite3.Connection, uid: str) -> tuple[_Run, JobStanding] | None:
        run = self._runs.get(uid)
        if run is None:
            job = job_of(records, uid)
            if job is None:
                return None
            run = _Run(job)
        standing = standing_of(records, run.job)
        if standing is None:
            self._runs.pop(uid, None)
            return None
        self._runs[uid] = run
        return run, standing

    def _advance(self, run: _Run, standing: JobStanding) -> JobChange | None:
        job = run.job
        tasks = without_copies(self._engine.tasks("job", job.uid))
        # What was launched before it failed has been terminated, which says nothing of the reason.
        outcome = (
            run.failure
            or self._judge_loss(job, tasks, standing.stop)
            or judge(job, tasks, standing.stop)
        )
        if outcome is None:
            try:
                outcome = self._go_on(run, tasks)
            except NotYetError:
                return None  # looked at again when the node has answered
            except JobError as error:
                # Some may have been launched just now.
                tasks = without_copies(self._engine.tasks("job", job.uid))
                outcome = run.failure = Outcome("failed", error=error.error)
            if outcome is None:
                return None
        running = [name for name, status in tasks.items() if isinstance(status, Running)]
        if running:
            return self._terminate(run, running, standing)
        settled = self._volumes.settled(job, outcome, ran=bool(tasks))
        if settled is None:
            return None
        if settled.state == "queued":
            # Its next run starts afresh. Not before nothing is left of this one, whose end would
            # otherwise be taken for its own.
            self._engine.release_job(job.uid)
        return JobChange(job, settled, ran=bool(tasks))

    def _judge_loss(
        self, job: JobRecord, tasks: Mapping[str, TaskStatus], stop: Stop | None
    ) -> Outcome | None:
        """Say how a job ends that lost a node; None where it lost none, or had ended before.

        It runs again where nothing of it has begun, and on nodes of low priority, which may be
        taken away at any time.
        """
        lost = {node: why for node in job.node_ids if (why := self._engine.lost(node))}
        if not lost or have_succeeded(tasks) or (stop is not None and not stop.requeue):
            return None
        with self._ledger.read() as records:
            cluster = cluster_of(records, job.cluster_key)
        if not tasks or (cluster is not None and cluster.low_priority):
            return Outcome("queued")
        if Lost() not in tasks.values() and has_failed(job, tasks):
            return None
        return lost_with(lost, tasks)

    def _go_on(self, run: _Run, tasks: Mapping[str, TaskStatus]) -> Outcome | None:
        if run.phases is None:
            run.phases = self._launch_next(run.job, tasks)
            if any(name not in tasks for phase in run.phases for name in phase):
                return None
        for phase in run.phases:
            if any(name not in tasks for name in phase):
                self._launch_next(run.job, tasks)
                return None
            if not _is_over(phase, tasks):
                return None
        return succeeded(tasks)

    def _launch_next(
        self, job: JobRecord, tasks: Mapping[str, TaskStatus]
    ) -> tuple[tuple[str, ...], ...]:
        """Launch what is missing of the first phase that is not over.

        Returns:
            The names of all tasks of the job, phase by phase.
        """
        plan = plan_job(job, self._engine, self._interpreter, self._ledger.now())
        phases = (plan.preparation, plan.processes)
        for phase in phases:
            due = [task for task in phase if task.key.name not in tasks]
            if due:
                self._launch(job, due)
                break
            if not _is_over([task.key.name for task in phase], tasks):
                break
        return tuple(tuple(task.key.name for task in phase) for phase in phases)

    def _launch(self, job: JobRecord, due: list[Task]) -> None:
        try:
            if not self._volumes.are_mounted(job, log=due[0].log):
                return  # looked at again when the copying has ended
            for task in due:
                self._engine.launch(task)
        except VolumeError as error:
            raise JobError(BatchAIError(error.code, error.message)) from error
        except MountError as error:
            raise JobError(BatchAIError("ShareMountFailed", str(error))) from error
        except EngineError as error:
            raise JobError(
                BatchAIError("JobFailed", f"The job was not started: {error}")
            ) from error

    def _terminate(
        self, run: _Run, running: Sequence[str], standing: JobStanding
    ) -> JobChange | None:
        for name in running:
            if name not in run.asked:
                self._engine.terminate(TaskKey("job", run.job.uid, name))
                run.asked.add(name)
        stop = standing.stop
        if stop is None or stop.requeue or standing.state == "terminating":
            return None
        return JobChange(run.job, None, ran=True)


def _is_over(phase: Sequence[str], tasks: Mapping[str, TaskStatus]) -> bool:
    return all(isinstance(tasks[name], Ended) for name in phase if decides(name))
