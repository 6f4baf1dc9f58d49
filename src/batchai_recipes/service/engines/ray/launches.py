"""The tasks that a node was told to start, from when it hears of them."""

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Final

from attrs import define

from batchai_recipes.service.engines.engine import Ended, Owner, Running, TaskStatus
from batchai_recipes.service.engines.ray.messages import Launch

_TERMINATED_CODE: Final = 143
_NEVER_CAME_UP: Final = "its supervisor was killed before it could start the task"

_Owner = tuple[Owner, str]


@define
class _Known:
    launch: Launch
    waits: bool
    is_started: bool = False
    is_unwanted: bool = False
    ended: Ended | None = None


class Launches:
    """Knows each task from the moment it is asked for, whether or not a process of it exists yet.

    So nobody who asks in between is told that there is no such task.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[_Owner, dict[str, _Known]] = {}

    def add(self, launch: Launch, *, waits: bool) -> bool:
        """Take note of a task.

        Args:
            launch: The task.
            waits: Whether it is to wait until copies of shares are up to date.

        Returns:
            Whether it was not known.
        """
        with self._lock:
            known = self._known.setdefault(launch.owner, {})
            if launch.task.key.name in known:
                return False
            known[launch.task.key.name] = _Known(launch, waits)
            return True

    def waiting(self) -> list[Launch]:
        """Return what waits."""
        with self._lock:
            return [k.launch for each in self._known.values() for k in each.values() if k.waits]

    def take(self, launch: Launch) -> bool:
        """Let a task wait no longer, since it is about to be started.

        Args:
            launch: The task.

        Returns:
            Whether it did wait: it may have been terminated, or started by another call.
        """
        with self._lock:
            known = self._find(launch)
            if known is None or not known.waits:
                return False
            known.waits = False
            return True

    def started(self, launch: Launch) -> bool:
        """Take note that a task has been started.

        Args:
            launch: The task.

        Returns:
            Whether it was to be terminated in the meantime.
        """
        with self._lock:
            known = self._find(launch)
            if known is None:
                return False
            known.is_started = True
            return known.is_unwanted

    def fail(self, launch: Launch, problem: str) -> None:
        """Take note that a task could not be started.

        Args:
            launch: The task.
            problem: What is in the way.
        """
        with self._lock:
            known = self._find(launch)
            if known is not None:
                known.ended = _not_started(problem)

    def terminate(self, owner: tuple[Owner, str], name: str) -> bool:
        """End a task that has not been started; one that is being started ends after that.

        Args:
            owner: Whose it is.
            name: The task.

        Returns:
            Whether that is so; if not, it has to be ended by whoever runs it.
        """
        with self._lock:
            known = self._known.get(owner, {}).get(name)
            if known is None or known.is_started or known.ended is not None:
                return False
            known.is_unwanted = True
            if not known.waits:
                return True
            known.waits = False
            known.ended = Ended("terminated", _TERMINATED_CODE, datetime.now(timezone.utc))
            return True

    def owners(self) -> Iterable[tuple[Owner, str]]:
        """Return all that have tasks."""
        with self._lock:
            return list(self._known)

    def names(self, owner: tuple[Owner, str]) -> Mapping[str, bool]:
        """Return whether each task of an owner has been started, by name.

        Args:
            owner: Whose tasks.
        """
        with self._lock:
            return {name: k.is_started for name, k in self._known.get(owner, {}).items()}

    def status(self, owner: tuple[Owner, str], name: str, *, was_started: bool) -> TaskStatus:
        """Return the status of a task of which nobody has seen a process.

        Args:
            owner: Whose it is.
            name: The task.
            was_started: Whether it had been started before a process was looked for.
        """
        with self._lock:
            known = self._known.get(owner, {}).get(name)
            if known is None:
                return Running()  # it is being forgotten
            if known.ended is None and was_started:
                known.ended = _not_started(_NEVER_CAME_UP)
            return known.ended or Running()

    def forget(self, owner: tuple[Owner, str], name: str | None = None) -> None:
        """Forget a task, or all of an owner.

        Args:
            owner: Whose.
            name: The task; None for all.
        """
        with self._lock:
            if name is None:
                self._known.pop(owner, None)
            else:
                self._known.get(owner, {}).pop(name, None)

    def _find(self, launch: Launch) -> _Known | None:
        return self._known.get(launch.owner, {}).get(launch.task.key.name)


def _not_started(problem: str) -> Ended:
    return Ended("not started", None, datetime.now(timezone.utc), problem)
