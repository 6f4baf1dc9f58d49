"""Brings what runs into line with what is wanted.

Level-triggered: it never acts on an event as such. An event only says where to look; what it finds
there, it compares with what is wanted, and takes one step towards that. So it does not matter how
often it is woken, what it had seen before, or whether the service died in between: starting is the
same as being told that anything may have changed.

A step costs what there is to do, however many clusters, nodes and jobs there are: each question to
the records has an index of its own, and all that a step decides is committed at once.
"""

import logging
import sys
import threading
from datetime import timedelta

from batchai_recipes.service.changes import Changes
from batchai_recipes.service.clock import Clock
from batchai_recipes.service.engines.engine import Engine, Owner
from batchai_recipes.service.scheduling.agenda import Agenda
from batchai_recipes.service.scheduling.autoscale import SCALE_DOWN_AFTER
from batchai_recipes.service.scheduling.ledger import Ledger
from batchai_recipes.service.scheduling.preemption import Preemption
from batchai_recipes.service.scheduling.retries import Retries
from batchai_recipes.service.scheduling.step import Step
from batchai_recipes.service.scheduling.volume_places import (
    AccountLookup,
    ShareLookup,
    VolumePlaces,
)
from batchai_recipes.service.scheduling.volumes import Volumes
from batchai_recipes.service.store import Store

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
        scale_down_after: How long a node of a cluster with automatic scale may do nothing.
        preemption: When low-priority nodes are taken away; never, if not given.
        retries: When what could not be done is tried again.
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
        scale_down_after: timedelta = SCALE_DOWN_AFTER,
        preemption: Preemption | None = None,
        retries: Retries | None = None,
    ) -> None:
        self._ledger = Ledger(store, clock, changes)
        self._engine = engine
        self._agenda = Agenda()
        self._preemption = preemption or Preemption()
        self._retries = retries or Retries()
        self._step = Step(
            ledger=self._ledger,
            agenda=self._agenda,
            engine=engine,
            volumes=Volumes(accounts, shares, places),
            places=places,
            interpreter=interpreter,
            scale_down_after=scale_down_after,
            preemption=self._preemption,
        )
        self._bell = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to schedule, in a thread of its own; what runs already is taken over."""
        self._stopping = False
        self.listen()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()
        self.wake()

    def listen(self) -> None:
        """Hear of the ends of tasks; for those who call :meth:`settle` and have no thread."""
        self._engine.start(self._task_changed)

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

    def settle(self) -> None:
        """Take steps, in the calling thread, until nothing is left to do for now."""
        while not self._stopping and self._step.take():
            pass

    def _task_changed(self, owner: Owner | None = None, owner_id: str = "", /) -> None:
        self._agenda.add_owner(owner, owner_id)
        self.wake()

    def _run(self) -> None:
        while True:
            self._bell.wait(self.seconds_to_next_look())
            self._bell.clear()
            if self._stopping:
                return
            self.look()

    def look(self) -> None:
        """Settle what can be settled; what cannot is tried again, at growing intervals."""
        if self._retries.are_due():
            self._agenda.resume()
        try:
            self.settle()
            failed = self._agenda.has_postponed
        except Exception:
            # Say, the disk is full. The thread must live on, for it will not stay so.
            _logger.exception("Scheduling failed; it is tried again")
            failed = True
        self._retries.note(failed=failed)

    def seconds_to_next_look(self) -> float | None:
        """Return how long it is until time alone gives something to do; None where it does not."""
        moments = [self._agenda.next_appointment(), self._preemption.next_time()]
        now = self._ledger.now()
        spans = [(moment - now).total_seconds() for moment in moments if moment is not None]
        retry = self._retries.seconds_left()
        if retry is not None:
            spans.append(retry)
        return max(min(spans), 0.0) if spans else None
