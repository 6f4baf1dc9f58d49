"""Placement groups: the bundles of Ray that nodes are made in. Runs in the driver."""

import importlib
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from batchai_recipes.service.engines.ray.messages import NodeFacts, WantedNode
from batchai_recipes.service.engines.ray.options import Strategy
from batchai_recipes.service.engines.ray.seats import Seats

_GIB: Final = 1 << 30
_SPLIT_AFTER_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 1.0
_PREFIX: Final = "nodes-"
# Of a machine of just the VM size, Ray offers some 70 %: the rest is its object store.
_MEMORY_SHARE: Final = 0.6


@frozen
class Place:
    """A node's place in Ray.

    Args:
        node: The node.
        group_name: The name of its placement group.
        group: The group.
        bundle: The number of its bundle.
        machine_id: Ray's id of the machine.
    """

    node: WantedNode
    group_name: str
    group: Any
    bundle: int
    machine_id: str


class NoPlaceError(Exception):
    """Ray had no machines in time; the message says for what."""


class Groups:
    """Makes placement groups.

    Args:
        strategy: How the nodes of a cluster lie on machines.
        patience_seconds: How long nodes may wait for machines.
        is_wanted: Tells whether a node is still wanted.
        waits: Called once for a node that has waited for a while, with what it waits for.
    """

    def __init__(
        self,
        strategy: Strategy,
        patience_seconds: float,
        *,
        is_wanted: Callable[[str], bool],
        waits: Callable[[str, str], None],
    ) -> None:
        self._ray = importlib.import_module("ray.util.placement_group")
        self._strategy = strategy
        self._patience_seconds = patience_seconds
        self._is_wanted = is_wanted
        self._waits = waits
        self._seats = Seats(apart=self._is_strict)

    def place(self, nodes: Sequence[WantedNode]) -> list[Place]:
        """Find places for nodes of one cluster, on machines of their own where that is asked for.

        Args:
            nodes: The nodes; all ask for the same.

        Returns:
            A place for each; fewer than there are nodes where only some can be had at once, and
            none where nobody wants them any more.

        Raises:
            NoPlaceError: There was none in time.
        """
        name = f"{_PREFIX}{uuid.uuid4().hex}"
        self._seats.begin(name, nodes[0].machine.cluster_uid)
        try:
            places = self._place(name, nodes)
        finally:
            self._seats.end(name)
        # Else others of the cluster came to these machines in the meantime.
        return self.place(nodes) if places is None else places

    def _place(self, name: str, nodes: Sequence[WantedNode]) -> list[Place] | None:
        group = self._make(name, nodes)
        taken: list[Place] | None = None
        try:
            free = self._wait(group, nodes)
            if free is None:
                taken = self._take(name, group, nodes)
            return taken if free is None else free
        finally:
            if not taken:
                self._ray.remove_placement_group(group)

    def _wait(self, group: Any, nodes: Sequence[WantedNode]) -> list[Place] | None:
        """Wait for a group; return what is to be had instead, or None once it is there."""
        deadline = time.monotonic() + self._patience_seconds
        split_at = time.monotonic() + min(_SPLIT_AFTER_SECONDS, self._patience_seconds / 4)
        said = False
        while not group.wait(_LOOK_SECONDS):
            now = time.monotonic()
            if not any(self._is_wanted(node.node_id) for node in nodes):
                return []
            if free := self._take_free(nodes):
                return free
            if len(nodes) > 1 and now > min(split_at, deadline):
                return []
            if now > deadline:
                raise NoPlaceError(self._shortage(nodes[0]))
            if now > split_at and not said:
                said = True
                self._waits(nodes[0].node_id, self._lacking(nodes[0]))
        return None

    def _take(self, name: str, group: Any, nodes: Sequence[WantedNode]) -> list[Place] | None:
        machines = self._machines(group)
        node_ids = [node.node_id for node in nodes]
        if not self._seats.take_all(node_ids, nodes[0].machine.cluster_uid, name, machines):
            return None
        return [Place(n, name, group, i, machines[i]) for i, n in enumerate(nodes)]

    def _take_free(self, nodes: Sequence[WantedNode]) -> list[Place]:
        """Take places that lost or released nodes had in groups that others of the cluster have.

        Ray keeps them for these groups; where machines are full, there are no others.
        """
        cluster_uid = nodes[0].machine.cluster_uid
        wait = {node.node_id: node for node in nodes}
        places: list[Place] = []
        for name in self._seats.groups_with_room(cluster_uid):
            group = _find(name) if wait else None
            if group is not None:
                machines = self._machines(group)
                found = self._seats.take_free(list(wait), cluster_uid, name, machines)
                for node_id, bundle in found.items():
                    node = wait.pop(node_id)
                    places.append(Place(node, name, group, bundle, machines[bundle]))
        return places

    def _machines(self, group: Any) -> dict[int, str]:
        """Return the machine of each bundle; empty for one whose machine is gone."""
        machines: dict[int, str] = self._ray.placement_group_table(group)["bundles_to_node_id"]
        return machines

    def expect(self, node_id: str, cluster_uid: str) -> None:
        """Take note that an earlier driver may have made a node; nobody knows where.

        Args:
            node_id: The node.
            cluster_uid: Its cluster.
        """
        self._seats.expect(node_id, cluster_uid)

    def expects(self, node_id: str) -> bool:
        """Tell whether an earlier driver may have made a node, nobody knows where.

        Args:
            node_id: The node.
        """
        return self._seats.expects(node_id)

    def adopt(self, node_id: str, cluster_uid: str, facts: NodeFacts) -> bool:
        """Take note of where a node is.

        Args:
            node_id: The node.
            cluster_uid: Its cluster.
            facts: What it said of itself.

        Returns:
            Whether it may be there, as :meth:`Seats.adopt` says.
        """
        return self._seats.adopt(node_id, cluster_uid, facts)

    def give_back(self, node_id: str) -> None:
        """Remove the placement group of a node that is gone, unless it holds other nodes.

        Args:
            node_id: The node, which may have had no place.
        """
        name = self._seats.leave(node_id)
        if name is not None:
            _remove(name)
        self.tidy()

    def sweep(self) -> None:
        """Remove the groups of this service that hold no node, now or once that is known."""
        self._seats.ask_to_tidy()
        self.tidy()

    def tidy(self) -> None:
        """Remove what was to be removed before it was known where all nodes are."""
        if self._seats.is_to_tidy():
            remove_groups(self._seats.is_needed)

    def clear(self) -> None:
        """Remove all groups of this service, with what is in them."""
        remove_groups(lambda _: False)

    def _make(self, name: str, nodes: Sequence[WantedNode]) -> Any:
        options: dict[str, Any] = {}
        if self._is_strict:
            others = self._seats.machines(nodes[0].machine.cluster_uid)
            if others:
                selector = {"ray.io/node-id": f"!in({','.join(others)})"}
                options["bundle_label_selector"] = [selector] * len(nodes)
        return self._ray.placement_group(
            [bundle_of(node) for node in nodes],
            strategy=self._strategy,
            name=name,
            lifetime="detached",
            **options,
        )

    def _shortage(self, node: WantedNode) -> str:
        return (
            f"Ray had no machine for it within {self._patience_seconds:g} s. "
            f"{self._lacking(node)}. Add machines, choose a smaller VM size"
            + (", or pass --ray-strategy SPREAD or PACK" * self._is_strict)
            + "; then scale down and up again"
        )

    def _lacking(self, node: WantedNode) -> str:
        """Say what a node asks for and what there is."""
        ray = importlib.import_module("ray")
        machines = Counter(
            _offer(machine["Resources"]) for machine in ray.nodes() if machine["Alive"]
        )
        offered = ", ".join(f"{count} with {offer}" for offer, count in machines.items())
        taken = len(self._seats.machines(node.machine.cluster_uid))
        return (
            f"It asks for {_bundle_said(bundle_of(node))}"
            + (", on a machine without other nodes of its cluster" * self._is_strict)
            + f"; Ray's machines: {offered or 'none'}"
            + (f", of which {taken} have a node of this cluster" * self._is_strict)
            + f"; free on all together: {_offer(ray.available_resources())}"
        )

    @property
    def _is_strict(self) -> bool:
        return self._strategy == "STRICT_SPREAD"


def bundle_of(node: WantedNode) -> dict[str, float]:
    """Return what a node asks of Ray.

    Args:
        node: The node.

    Example:
        >>> from batchai_recipes.service.engines.engine import Machine
        >>> bundle_of(WantedNode("tvm-1", Machine("uid", 2, 3.5), gpu_count=1))
        {'CPU': 2, 'memory': 2254857830, 'GPU': 1}
    """
    bundle: dict[str, float] = {"CPU": node.machine.cores}
    if node.machine.memory_gib:
        bundle["memory"] = int(node.machine.memory_gib * _MEMORY_SHARE * _GIB)
    if node.gpu_count:
        bundle["GPU"] = node.gpu_count
    return bundle


def _bundle_said(bundle: Mapping[str, float]) -> str:
    return ", ".join(_said(name, count) for name, count in bundle.items())


def _offer(resources: Mapping[str, float]) -> str:
    return ", ".join(_said(name, resources.get(name, 0)) for name in ("CPU", "GPU", "memory"))


def _said(name: str, count: float) -> str:
    if name == "memory":
        return f"{count / _GIB:.1f} GiB of memory"
    return f"{count:g} {name}{'s' * (count != 1)}"


def remove_groups(is_in_use: Callable[[str], bool]) -> None:
    """Remove groups of the service in whose namespace this process is, with what runs in them.

    Args:
        is_in_use: Tells, by its name, whether a group is to stay.
    """
    table = importlib.import_module("ray.util").placement_group_table()
    for row in table.values():
        name = row["name"]
        if name.startswith(_PREFIX) and row["state"] != "REMOVED" and not is_in_use(name):
            _remove(name)


def _remove(name: str) -> None:
    group = _find(name)
    if group is not None:
        importlib.import_module("ray.util").remove_placement_group(group)


def _find(name: str) -> Any:
    try:
        return importlib.import_module("ray.util").get_placement_group(name)
    except ValueError:
        return None  # it is another service's, or gone
