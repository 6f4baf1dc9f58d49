"""What follows for a service from what its driver says."""

import logging
from typing import Final

from batchai_recipes.service.engines.engine import Notify, Task
from batchai_recipes.service.engines.ray.answers import later
from batchai_recipes.service.engines.ray.driver_link import DriverLink
from batchai_recipes.service.engines.ray.messages import (
    Answer,
    Changed,
    Connected,
    Failed,
    Gone,
    Refusal,
    Release,
    Up,
    Waits,
)
from batchai_recipes.service.engines.ray.nodes import KnownNodes
from batchai_recipes.service.engines.ray.outage import Outage
from batchai_recipes.service.engines.ray.roster import Roster
from batchai_recipes.service.engines.ray.runs import Runs

_ASK_AGAIN_SECONDS: Final = 2.0

_logger = logging.getLogger(__name__)


class Hearing:
    """Takes in what the driver says, in the link's thread.

    Args:
        nodes: The nodes.
        runs: What was launched on them.
        roster: Tells the driver of nodes.
        link: Leads to the driver.
        outage: Counts how long Ray is away.
        notify: Told of the owners for whom something has changed.
    """

    def __init__(
        self,
        nodes: KnownNodes,
        runs: Runs,
        roster: Roster,
        link: DriverLink,
        *,
        outage: Outage,
        notify: Notify,
    ) -> None:
        self._nodes = nodes
        self._runs = runs
        self._roster = roster
        self._link = link
        self._outage = outage
        self._notify = notify

    def hear(self, message: object) -> None:
        """Take in a message.

        Args:
            message: The message.
        """
        if isinstance(message, Changed):
            self._take_in(message)
        elif isinstance(message, Up):
            self._welcome(message)
        elif isinstance(message, Waits):
            _logger.warning(
                "Node %s waits for a machine of Ray. %s", message.node_id, message.what_for
            )
        elif isinstance(message, Gone):
            self._lose(message.node_id, message.why)
        elif isinstance(message, Connected):
            self._introduce()
        elif isinstance(message, Failed):
            self._be_out(message.message)

    def launched(self, task: Task, run: str, answer: Answer) -> None:
        """Take in what a node answers that was asked to start a task.

        Args:
            task: The task.
            run: The run for which it was asked to.
            answer: Its answer.
        """
        key = task.key
        if answer.unheard:
            _logger.info("Node %s has not heard of a task: %s", task.node_id, answer.unreachable)
            if self._runs.withdraw(key, run):
                later(_ASK_AGAIN_SECONDS, self._notify, key.owner, key.owner_id)
        elif answer.unreachable:
            # It may have been heard. The node tells, or is lost.
            _logger.warning(
                "Node %s may not have heard of a task: %s", task.node_id, answer.unreachable
            )
        elif isinstance(answer.value, Refusal):
            if self._runs.refuse(key, run, answer.value):
                self._notify(key.owner, key.owner_id)
        elif self._runs.is_to_end(key, run):
            # The node does several things at a time: it may have heard that before the task.
            self._link.tell(task.node_id, "terminate", key.owner, run, key.name)

    def _take_in(self, message: Changed) -> None:
        node_id = message.node_id
        known = self._nodes.find(node_id)
        if known is None or known.lost:
            return  # what a lost node says late does not count
        learnt = self._runs.learn(node_id, message.changes)
        for run in learnt.over:
            self._link.tell(node_id, "release_run", run)
        for kind, run, name in learnt.unheard:
            self._link.tell(node_id, "terminate", kind, run, name)
        for owner, owner_id in learnt.changed:
            self._notify(owner, owner_id)

    def _welcome(self, message: Up) -> None:
        if self._nodes.welcome(message.node_id, message.facts):
            self._notify("node", message.node_id)
        else:
            self._link.send(Release(message.node_id))

    def _lose(self, node_id: str, why: str) -> None:
        if self._nodes.lose(node_id, why):
            self._notify("node", node_id)

    def _introduce(self) -> None:
        self._outage.is_over()
        self._runs.begin_driver()
        for node_id in self._roster.introduce():
            self._notify("node", node_id)  # which may wait for Ray

    def _be_out(self, why: str) -> None:
        if not self._outage.goes_on(why):
            return
        for node_id, known in self._nodes.living().items():
            if known.facts is not None:
                self._lose(node_id, f"Ray's head has been out of reach for long ({why})")
