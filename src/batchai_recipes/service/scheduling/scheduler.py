"""Brings what runs into line with what is wanted.

Level-triggered: it never acts on an event as such. Whenever it is woken it compares the records
with the engine, takes one step towards what is wanted, commits, and looks again until nothing is
left to do. So it does not matter how often it is woken, what it had seen before, or whether the
service died in between: starting is the same as being woken.
"""

import logging
import sys
import threading

from batchai_recipes.service.changes import Changes
from batchai_recipes.service.clock import Clock
from batchai_recipes.service.engines.engine import Engine, Owner
from batchai_recipes.service.scheduling.allocation import Allocation
from batchai_recipes.service.scheduling.deletions import Deletions
from batchai_recipes.service.scheduling.job_queue import JobQueue
from batchai_recipes.service.scheduling.job_runs import JobRuns
from batchai_recipes.service.scheduling.job_volumes import JobVolumes
from batchai_recipes.service.scheduling.ledger import Ledger
from batchai_recipes.service.scheduling.node_volumes import NodeVolumes
from batchai_recipes.service.scheduling.volume_folders import VolumeFolders
from batchai_recipes.service.scheduling.volume_places import (
    AccountLookup,
    ShareLookup,
    VolumePlaces,
)
from batchai_recipes.service.scheduling.volumes import Volumes
from batchai_recipes.service.store import Store

_FIRST_RETRY_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 60.0

_logger = logging.getLogger(__name__)


class Scheduler:
    """Decides which job runs on which nodes, and when.

    Args:
        store: The records.
        clock: Tells the time.
        changes: The bell to ring after each commit.
        engine: Where nodes are and processes run.
        shares: The file shares that nodes and jobs mount.
        accounts: The storage accounts whose keys open them.
        places: What volumes need that are not the service's own shares; None to mount no others.
        interpreter: The Python of jobs that name none.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        changes: Changes,
        engine: Engine,
        shares: ShareLookup,
        accounts: AccountLookup,
        places: VolumePlaces | None = None,
        interpreter: str = sys.executable,
    ) -> None:
        self._ledger = Ledger(store, clock, changes)
        self._engine = engine
        volumes = Volumes(accounts, shares, places)
        copies = None if places is None else places.state.volumes
        self._places = places
        self._deletions = Deletions(self._ledger, engine)
        self._allocation = Allocation(self._ledger, engine, NodeVolumes(engine, volumes, copies))
        self._runs = JobRuns(
            self._ledger, engine, JobVolumes(self._ledger, engine, volumes, copies), interpreter
        )
        self._queue = JobQueue(self._ledger)
        self._bell = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to schedule, in a thread of its own; what runs already is taken over."""
        self._stopping = False
        self._engine.start(self._task_changed)
        self._remove_orphans()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()
        self.wake()

    def stop(self) -> None:
        """Stop scheduling; jobs that run go on running."""
        self._stopping = True
        self.wake()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._engine.stop()

    def wake(self) -> None:
        """Let the scheduler look at the records again, soon. Called from any thread."""
        self._bell.set()

    def _task_changed(self, owner: Owner | None = None, owner_id: str = "", /) -> None:
        del owner, owner_id
        self.wake()

    def settle(self) -> None:
        """Take steps, in the calling thread, until nothing is left to do for now."""
        while not self._stopping and self._step():
            pass

    def _run(self) -> None:
        retry_seconds: float | None = None
        while True:
            self._bell.wait(retry_seconds)
            self._bell.clear()
            if self._stopping:
                return
            try:
                self.settle()
                retry_seconds = None
            except Exception:
                # Say, the disk is full. The thread must live on, for it will not stay so.
                retry_seconds = min(
                    (retry_seconds or _FIRST_RETRY_SECONDS / 2) * 2, _LONGEST_RETRY_SECONDS
                )
                _logger.exception("Scheduling failed; next try in %g s", retry_seconds)

    def _step(self) -> bool:
        deleted = self._deletions.settle()
        if deleted:
            self._remove_orphans()
        changes = [
            self._finish_operations(),
            deleted,
            self._allocation.settle(),
            self._runs.advance(),
            self._queue.settle(),
        ]
        return any(changes)

    def _remove_orphans(self) -> None:
        """Remove the folders of what is no more."""
        if self._places is not None:
            VolumeFolders(self._ledger, self._places.state.volumes).remove_orphans()
            self._places.disks.remove_orphans()

    def _finish_operations(self) -> bool:
        """Close the operations that are over: what was created exists, what was ended has ended."""
        over = (
            "status = 'InProgress' AND (action = 'create' OR action = 'terminate' AND resource_key "
            "NOT IN (SELECT key FROM jobs WHERE execution_state NOT IN ('succeeded', 'failed')))"
        )
        with self._ledger.read() as records:
            # The text is a constant of this function.
            found = records.execute(f"SELECT 1 FROM operations WHERE {over}").fetchone()  # noqa: S608
        if found is None:
            return False
        with self._ledger.write() as records:
            records.execute(
                f"UPDATE operations SET status = 'Succeeded', ended_at = ? WHERE {over}",  # noqa: S608  # as above
                (self._ledger.timestamp(),),
            )
        return True
