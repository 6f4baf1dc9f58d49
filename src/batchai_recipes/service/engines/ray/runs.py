"""What the service knows of the tasks that it launched, and of what its nodes tell of them."""

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from attrs import Factory, frozen

from batchai_recipes.service.engines.engine import Owner, Running, TaskKey, TaskStatus
from batchai_recipes.service.engines.ray.launched import Launched
from batchai_recipes.service.engines.ray.messages import Changes, Refusal
from batchai_recipes.service.state_directory import StateDirectory

_FIRST_DRIVER: Final = 0

_Owner = tuple[Owner, str]


@frozen
class Learnt:
    """What follows from what a node told.

    Args:
        changed: The owners whose tasks have changed.
        over: The runs that the node still has, and that are over.
        unheard: The tasks that are to end and of which the node does not know that, each with its
            kind of owner and run.
    """

    changed: list[tuple[Owner, str]] = Factory(list)
    over: list[str] = Factory(list)
    unheard: list[tuple[Owner, str, str]] = Factory(list)


class Runs:
    """The runs of jobs, and the tasks of nodes, each with a file of its own.

    Drivers come and go, and what is said through one may or may not have been heard. So a task
    counts as launched from before its node is asked for it, until a *later* driver has been told
    everything by that node, and that task not. Whatever a node tells of the current run counts.

    Args:
        state: Where the files are.
    """

    def __init__(self, state: StateDirectory) -> None:
        self._state = state
        self._lock = threading.RLock()
        self._known: dict[_Owner, Launched] = {}
        self._driver = _FIRST_DRIVER

    def begin_driver(self) -> None:
        """Take note that what is said from now on goes through a new driver."""
        with self._lock:
            self._driver += 1

    def find(self, owner: Owner, owner_id: str) -> Launched | None:
        """Find the current run of an owner, if there is one.

        Args:
            owner: Whether it is a job or a node.
            owner_id: The uid of the job or the id of the node.
        """
        with self._lock:
            known = self._known.get((owner, owner_id))
            if known is None:
                known = Launched.load(self._folder_of(owner, owner_id))
                if known is not None:
                    self._known[owner, owner_id] = known
            return known

    def of(self, owner: Owner, owner_id: str, node_ids: Iterable[str]) -> Launched:
        """Find the current run of an owner, begun where there is none.

        Args:
            owner: Whether it is a job or a node.
            owner_id: The uid of the job or the id of the node.
            node_ids: Nodes that may get folders of the run.

        Raises:
            EngineError: It cannot be written down.
        """
        with self._lock:
            known = self.find(owner, owner_id)
            if known is None:
                folder = self._folder_of(owner, owner_id)
                known = (
                    Launched.begin(folder, owner_id)
                    if owner == "job"
                    else Launched(folder, owner_id)
                )
                self._known[owner, owner_id] = known
            added = dict.fromkeys(node_ids)
            if not added.keys() <= known.nodes.keys():
                known.nodes.update(added)
                known.save()
            return known

    def launch(self, key: TaskKey, node_id: str) -> Launched | None:
        """Take note that a node is asked for a task.

        Args:
            key: The task.
            node_id: The node.

        Returns:
            Its run, or None if it has been launched before.

        Raises:
            EngineError: The node has refused it, or it cannot be written down.
        """
        with self._lock:
            known = self.of(key.owner, key.owner_id, ())
            if key.name in known.tasks:
                return None
            if key.name in known.refused:
                raise known.refused.pop(key.name).error
            known.nodes[node_id] = None
            known.tasks[key.name] = node_id
            known.sent[key.name] = self._driver
            known.save()
            return known

    def refuse(self, key: TaskKey, run: str, refusal: Refusal) -> bool:
        """Take note that a node does not start a task; whoever launches it again is told why.

        Args:
            key: The task.
            run: The run for which it was asked to.
            refusal: Why.

        Returns:
            Whether that is news: the run may be over, or the task have been started before.

        Raises:
            EngineError: It cannot be written down.
        """
        with self._lock:
            known = self.find(key.owner, key.owner_id)
            if known is None or not self.withdraw(key, run):
                return False
            known.refused[key.name] = refusal
            return True

    def withdraw(self, key: TaskKey, run: str) -> bool:
        """Take note that no node has been asked for a task after all.

        Args:
            key: The task.
            run: Its run.

        Returns:
            Whether that is news.

        Raises:
            EngineError: It cannot be written down.
        """
        with self._lock:
            known = self.find(key.owner, key.owner_id)
            if known is None or known.run != run or key.name in known.told:
                return False
            known.tasks.pop(key.name, None)
            known.save()
            return True

    def is_to_end(self, key: TaskKey, run: str) -> bool:
        """Tell whether a task was asked to end.

        Args:
            key: The task.
            run: Its run.
        """
        with self._lock:
            known = self.find(key.owner, key.owner_id)
            return known is not None and known.run == run and key.name in known.ending

    def tasks(self, owner: Owner, owner_id: str) -> Mapping[str, tuple[str, TaskStatus]]:
        """Return the node of each task, and what was last told of it: that it runs, if nothing.

        Args:
            owner: Whether it is a job or a node.
            owner_id: The uid of the job or the id of the node.
        """
        with self._lock:
            known = self.find(owner, owner_id)
            if known is None:
                return {}
            return {
                name: (node_id, known.told.get(name, Running()))
                for name, node_id in known.tasks.items()
            }

    def end(self, key: TaskKey) -> tuple[str, str] | None:
        """Take note that a task is to end.

        Args:
            key: The task.

        Returns:
            Its node and its run, or None if there is no such task.
        """
        with self._lock:
            known = self.find(key.owner, key.owner_id)
            if known is None or key.name not in known.tasks:
                return None
            known.ending.add(key.name)
            return known.tasks[key.name], known.run

    def forget(self, owner: Owner, owner_id: str) -> Launched | None:
        """Forget an owner: what is told late of its run is of no run any more.

        Args:
            owner: Whether it is a job or a node.
            owner_id: The uid of the job or the id of the node.

        Returns:
            Its run, if there was one.
        """
        with self._lock:
            found = self.find(owner, owner_id)
            if found is not None:
                found.remove()
            self._known.pop((owner, owner_id), None)
            return found

    def learn(self, node_id: str, changes: Changes) -> Learnt:
        """Take in what a node tells through the present driver.

        Args:
            node_id: The node.
            changes: What it tells.

        Raises:
            EngineError: It cannot be written down.
        """
        learnt = Learnt()
        with self._lock:
            for (kind, run), tasks in changes.tasks.items():
                owner_id = run.partition(".")[0]
                known = self.find(kind, owner_id)
                if known is not None and known.run == run and node_id in known.nodes:
                    if _take_in(known, node_id, tasks):
                        learnt.changed.append((kind, owner_id))
                    if changes.whole:
                        learnt.unheard.extend(
                            (kind, run, name)
                            for name in known.ending.intersection(tasks)
                            if isinstance(tasks[name], Running)
                        )
                elif kind == "job" and (known is None or known.run != run):
                    learnt.over.append(run)
            if changes.whole:
                learnt.changed.extend(self._forget_unheard(node_id, changes))
        return learnt

    def _forget_unheard(self, node_id: str, changes: Changes) -> list[_Owner]:
        """Forget the tasks that were said to an earlier driver and that the node never heard of."""
        forgotten: list[_Owner] = []
        owners: list[_Owner] = [("job", place.name) for place in self._state.jobs.iterdir()]
        for kind, owner_id in [*owners, ("node", node_id)]:
            known = self.find(kind, owner_id)
            if known is None:
                continue
            heard = {*known.told, *changes.tasks.get((kind, known.run), {})}
            unheard = [
                name
                for name, at in known.tasks.items()
                if at == node_id
                and name not in heard
                and known.sent.get(name, _FIRST_DRIVER) < self._driver
            ]
            for name in unheard:
                del known.tasks[name]
            if unheard:
                known.save()
                forgotten.append((kind, owner_id))
        return forgotten

    def _folder_of(self, owner: Owner, owner_id: str) -> Path:
        return (self._state.jobs if owner == "job" else self._state.nodes) / owner_id


def _take_in(known: Launched, node_id: str, tasks: Mapping[str, TaskStatus]) -> bool:
    """Take in the status of tasks, and tell whether that is news."""
    strange = [name for name in tasks if name not in known.tasks]
    for name in strange:  # it was thought that the node had not heard of it
        known.tasks[name] = node_id
    if strange:
        known.save()
    news = {
        name: status
        for name, status in tasks.items()
        if known.tasks[name] == node_id and known.told.get(name) != status
    }
    known.told.update(news)
    return bool(news)
