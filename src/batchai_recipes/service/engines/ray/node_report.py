"""What a node has to tell of: its tasks, and what they write to copies of shares."""

from collections.abc import Iterable, Mapping

from batchai_recipes.service.engines.engine import Owner, Running, TaskStatus
from batchai_recipes.service.engines.local import LocalEngine
from batchai_recipes.service.engines.ray.launches import Launches
from batchai_recipes.service.engines.ray.mpi_daemons import MpiDaemons, is_daemon
from batchai_recipes.service.engines.ray.node_shares import NodeShares
from batchai_recipes.service.engines.ray.share_copies import Change

_Owner = tuple[Owner, str]


class NodeReport:
    """Puts together what the service is told.

    Args:
        node_id: The node.
        engine: Runs its tasks.
        launches: Knows those that it was told to start.
        shares: Its copies of shares.
        mpi: Knows what its tasks have on other nodes.
    """

    def __init__(
        self,
        node_id: str,
        *,
        engine: LocalEngine,
        launches: Launches,
        shares: NodeShares,
        mpi: MpiDaemons,
    ) -> None:
        self._node_id = node_id
        self._engine = engine
        self._launches = launches
        self._shares = shares
        self._mpi = mpi

    def owners(self) -> Iterable[tuple[Owner, str]]:
        """Return all that have tasks, by kind and its id or run."""
        # Those too that an earlier actor left on this machine, so that they are released.
        runs: set[_Owner] = {("job", run) for run in self._engine.jobs()}
        return {("node", self._node_id), *runs, *self._launches.owners()}

    def tasks(self, owner: tuple[Owner, str]) -> Mapping[str, TaskStatus]:
        """Return the status of all tasks that the service has launched of an owner, by name.

        Args:
            owner: Whose they are.
        """
        # A task has not ended before what it has on other nodes has.
        waits = self._mpi.is_busy(owner[1])
        return {
            name: Running() if waits else status
            for name, status in self.all_tasks(owner).items()
            if not is_daemon(name)
        }

    def all_tasks(self, owner: tuple[Owner, str]) -> Mapping[str, TaskStatus]:
        """Return the status of all tasks of an owner, daemons of ``mpirun`` included, by name.

        Args:
            owner: Whose they are.
        """
        names = self._launches.names(owner)
        # After that, lest one that is being started be in neither.
        seen = self._engine.tasks(*owner)
        return {
            name: seen.get(name) or self._launches.status(owner, name, was_started=was_started)
            for name, was_started in names.items()
        }

    def is_running(self, owner: tuple[Owner, str], name: str) -> bool:
        """Tell whether a task runs, or is to.

        Args:
            owner: Whose it is.
            name: The task.
        """
        return isinstance(self.all_tasks(owner).get(name), Running)

    def is_busy(self) -> bool:
        """Tell whether a task runs."""
        return any(
            isinstance(status, Running)
            for owner in self._launches.owners()
            for status in self.all_tasks(owner).values()
        )

    def is_copying(self) -> bool:
        """Tell whether something may be written to copies of shares."""
        return bool(self._shares) and self.is_busy()

    def written(self, *, final: bool) -> tuple[tuple[Change, ...], bool]:
        """Return what was written to copies of shares, and whether that is all.

        Args:
            final: Whether to look again at what was sent while it was written.
        """
        return self._shares.changes(final=final)

    def shares(self) -> tuple[str, ...]:
        """Return the shares of which to know what is in them, where something waits for that."""
        return self._shares.names if self._launches.waiting() else ()

    def begin_anew(self) -> None:
        """Forget what was sent of copies of shares."""
        self._shares.begin_anew()
