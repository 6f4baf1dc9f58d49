"""What the scheduler has to look at next."""

import threading
from collections.abc import Iterable
from datetime import datetime

from attrs import Factory, define

from batchai_recipes.service.engines.engine import Owner


@define
class Matters:
    """What is to be looked at in one step, each in the order in which it was added.

    Args:
        everything: Whether that is all there is, since nobody knows what has changed.
        tasks: Whether that is everything that may have a task.
        jobs: The uids of jobs that hold nodes.
        nodes: The ids of nodes that are preparing or leaving.
        clusters: The keys of clusters whose queue or size may move.
        deletions: Whether something could not be deleted yet.
    """

    everything: bool = False
    tasks: bool = False
    deletions: bool = False
    jobs: dict[str, None] = Factory(dict)
    nodes: dict[str, None] = Factory(dict)
    clusters: dict[str, None] = Factory(dict)

    def add(
        self,
        *,
        jobs: Iterable[str] = (),
        nodes: Iterable[str] = (),
        clusters: Iterable[str] = (),
    ) -> None:
        """Add some things.

        Args:
            jobs: The uids of jobs.
            nodes: The ids of nodes.
            clusters: The keys of clusters.
        """
        self.jobs.update(dict.fromkeys(jobs))
        self.nodes.update(dict.fromkeys(nodes))
        self.clusters.update(dict.fromkeys(clusters))

    def __bool__(self) -> bool:
        whole = self.everything or self.tasks or self.deletions
        return bool(whole or self.jobs or self.nodes or self.clusters)


class Agenda:
    """Collects what is to be looked at, from any thread, until the scheduler takes it.

    It is a hint and never the truth: that is in the records and with the engine. An agenda that is
    lost, as when the service dies, is replaced by a new one, which begins with everything.

    Example:
        >>> agenda = Agenda()
        >>> agenda.take().everything
        True
        >>> agenda.add(jobs=["uid"])
        >>> list(agenda.take().jobs)
        ['uid']
        >>> bool(agenda)
        False
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._matters = Matters(everything=True)
        self._postponed = Matters()
        self._appointments: dict[str, datetime] = {}

    def __bool__(self) -> bool:
        return bool(self._matters)

    def add(
        self,
        *,
        jobs: Iterable[str] = (),
        nodes: Iterable[str] = (),
        clusters: Iterable[str] = (),
    ) -> None:
        """Have some things looked at.

        Args:
            jobs: The uids of jobs.
            nodes: The ids of nodes.
            clusters: The keys of clusters.
        """
        with self._lock:
            self._matters.add(jobs=jobs, nodes=nodes, clusters=clusters)

    def add_owner(self, owner: Owner | None, owner_id: str) -> None:
        """Have the owner of a task looked at.

        Args:
            owner: What owns it; None to have every owner of a task looked at.
            owner_id: Its uid or id.
        """
        if owner is None:
            with self._lock:
                self._matters.tasks = True
        elif owner == "job":
            self.add(jobs=(owner_id,))
        else:
            self.add(nodes=(owner_id,))

    def add_everything(self) -> None:
        """Have everything looked at."""
        with self._lock:
            self._matters.everything = True

    def postpone(
        self, *, jobs: Iterable[str] = (), nodes: Iterable[str] = (), deletions: bool = False
    ) -> None:
        """Have some things looked at again, but not before :meth:`resume`.

        Args:
            jobs: The uids of jobs.
            nodes: The ids of nodes.
            deletions: Whether something could not be deleted.
        """
        self._postponed.add(jobs=jobs, nodes=nodes)
        self._postponed.deletions |= deletions

    @property
    def has_postponed(self) -> bool:
        """Whether something was postponed."""
        return bool(self._postponed)

    def resume(self) -> None:
        """Have looked at what was postponed; what is to be deleted each look finds by itself."""
        postponed, self._postponed = self._postponed, Matters()
        self.add(jobs=postponed.jobs, nodes=postponed.nodes)

    def appoint(self, cluster_key: str, moment: datetime | None) -> None:
        """Have a cluster looked at when a time has come, in place of any time before.

        Args:
            cluster_key: The cluster.
            moment: The time; None for never.
        """
        if moment is None:
            self._appointments.pop(cluster_key, None)
        else:
            self._appointments[cluster_key] = moment

    def next_appointment(self) -> datetime | None:
        """Return the earliest time that was appointed, or None."""
        return min(self._appointments.values(), default=None)

    def due(self, now: datetime) -> None:
        """Add the clusters whose time has come.

        Args:
            now: The present time.
        """
        for key in [key for key, moment in self._appointments.items() if moment <= now]:
            del self._appointments[key]
            self.add(clusters=(key,))

    def take(self) -> Matters:
        """Return what has been added since the last time, and begin anew."""
        with self._lock:
            matters, self._matters = self._matters, Matters()
        return matters
