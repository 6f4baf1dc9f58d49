"""Running jobs: from their nodes through preparation and processes to their end."""

import json
import logging
from collections.abc import Mapping

from batchai_recipes.service.batchai_error import BatchAIError, errors_as_json
from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.engines.engine import (
    Ended,
    Engine,
    EngineError,
    MountError,
    Running,
    Task,
    TaskKey,
    TaskStatus,
)
from batchai_recipes.service.scheduling.job_outcome import Outcome, Stop, decides, judge, succeeded
from batchai_recipes.service.scheduling.job_plan import JobError, plan_job
from batchai_recipes.service.scheduling.job_records import JobRecord, jobs_in
from batchai_recipes.service.scheduling.job_volumes import JobVolumes
from batchai_recipes.service.scheduling.ledger import Ledger
from batchai_recipes.service.scheduling.volume import VolumeError
from batchai_recipes.service.scheduling.volume_copies import without_copies

_logger = logging.getLogger(__name__)


class JobRuns:
    """Moves every running job one step on, judged by nothing but records and the engine.

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

    def advance(self) -> bool:
        """Launch what is due, terminate what shall end, record what has ended.

        Returns:
            Whether anything changed, so that looking again may be worth it.
        """
        with self._ledger.read() as records:
            jobs = jobs_in(records, ("running", "terminating"))
        changes = [self._advance(job) for job in jobs]
        return any(changes)

    def _advance(self, job: JobRecord) -> bool:
        tasks = without_copies(self._engine.tasks("job", job.uid))
        stop = self._stop(job)
        outcome = judge(job, tasks, stop)
        if outcome is None:
            try:
                step = self._go_on(job, tasks)
            except JobError as error:
                # Some may have been launched just now.
                tasks = without_copies(self._engine.tasks("job", job.uid))
                step = Outcome("failed", error=error.error)
            if not isinstance(step, Outcome):
                return step
            outcome = step
        running = [name for name, status in tasks.items() if isinstance(status, Running)]
        if not running:
            settled = self._volumes.settled(job, outcome, ran=bool(tasks))
            if settled is not None:
                return self._conclude(job, settled)
        for name in running:
            self._engine.terminate(TaskKey("job", job.uid, name))
        return self._show_terminating(job) if stop is not None and not stop.requeue else False

    def _go_on(self, job: JobRecord, tasks: Mapping[str, TaskStatus]) -> bool | Outcome:
        """Launch what is due and tell whether that was anything, or how the job has ended."""
        plan = plan_job(job, self._engine, self._interpreter, self._ledger.now())
        for phase in (plan.preparation, plan.processes):
            due = [task for task in phase if task.key.name not in tasks]
            if due:
                return self._launch(job, due)
            if any(decides(task.key.name) and not _has_ended(tasks, task) for task in phase):
                return False
        return succeeded(tasks)

    def _launch(self, job: JobRecord, due: list[Task]) -> bool:
        """Launch tasks once their volumes are there, and tell whether they are."""
        try:
            if not self._volumes.are_mounted(job, log=due[0].log):
                return False
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
        return True

    def _stop(self, job: JobRecord) -> Stop | None:
        if job.termination_requested:
            return Stop("The specified job has been terminated by the user")
        if job.deleting:
            return Stop("The job was terminated since it is being deleted")
        with self._ledger.read() as records:
            cluster = records.execute(
                "SELECT properties, provisioning_state FROM resources WHERE key = ?",
                (job.cluster_key,),
            ).fetchone()
            staying = records.execute(
                "SELECT count(*) FROM nodes WHERE state != 'leaving' "
                "AND id IN (SELECT node_id FROM job_nodes WHERE job_key = ?)",
                (job.key,),
            ).fetchone()[0]
        if cluster is None or cluster["provisioning_state"] == "deleting":
            return Stop("The job was terminated since its cluster is being deleted")
        option = _deallocation_option(json.loads(cluster["properties"]))
        if staying == len(job.node_ids) or option == "waitforjobcompletion":
            return None
        return Stop("The job was terminated since its cluster gave up nodes", option == "requeue")

    def _show_terminating(self, job: JobRecord) -> bool:
        if job.state == "terminating":
            return False
        with self._ledger.write() as records:
            records.execute(
                "UPDATE jobs SET execution_state = 'terminating', execution_state_at = ? "
                "WHERE key = ? AND execution_state = 'running'",
                (self._ledger.timestamp(), job.key),
            )
        return True

    def _conclude(self, job: JobRecord, outcome: Outcome) -> bool:
        if outcome.state == "queued":
            self._release(job)  # its next run starts afresh
        now = self._ledger.timestamp()
        ended = now if outcome.ended_at is None else iso_timestamp(outcome.ended_at)
        with self._ledger.write() as records:
            records.execute(
                "UPDATE nodes SET state = 'idle', state_at = ? WHERE state = 'running' "
                "AND id IN (SELECT node_id FROM job_nodes WHERE job_key = ?)",
                (now, job.key),
            )
            if outcome.state == "queued":
                records.execute("DELETE FROM job_nodes WHERE job_key = ?", (job.key,))
                records.execute(
                    "UPDATE jobs SET execution_state = 'queued', execution_state_at = ?, "
                    "started_at = NULL WHERE key = ?",
                    (now, job.key),
                )
            else:
                errors = [outcome.error] if outcome.error else []
                records.execute(
                    "UPDATE jobs SET execution_state = ?, execution_state_at = ?, ended_at = ?, "
                    "exit_code = ?, errors = ? WHERE key = ?",
                    (
                        outcome.state,
                        ended,
                        ended,
                        outcome.exit_code,
                        errors_as_json(errors),
                        job.key,
                    ),
                )
        if outcome.state != "queued":
            self._release(job)
        return True

    def _release(self, job: JobRecord) -> None:
        try:
            self._engine.release_job(job.uid)
        except EngineError as error:
            _logger.warning("Job %s has ended, but its folder stays: %s", job.uid, error)


def _has_ended(tasks: Mapping[str, TaskStatus], task: Task) -> bool:
    return isinstance(tasks[task.key.name], Ended)


def _deallocation_option(cluster_properties: Mapping[str, object]) -> str:
    scale = cluster_properties.get("scaleSettings")
    manual = scale.get("manual") if isinstance(scale, dict) else None
    option = manual.get("nodeDeallocationOption") if isinstance(manual, dict) else None
    return str(option or "requeue")
