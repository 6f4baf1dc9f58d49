"""The nodes of a service as its driver has them: they are made, found again, lost and ended."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final

from batchai_recipes.service.engines.ray.actors import (
    actor_names,
    end_actor,
    find_actor,
    first_line,
    kill_actor,
    make_actor,
)
from batchai_recipes.service.engines.ray.answers import Answers, later
from batchai_recipes.service.engines.ray.following import Following
from batchai_recipes.service.engines.ray.groups import Groups, NoPlaceError, Place
from batchai_recipes.service.engines.ray.messages import (
    EarlierNode,
    Gone,
    Home,
    NodeFacts,
    Up,
    Waits,
    WantedNode,
)
from batchai_recipes.service.engines.ray.options import RayOptions

# Nodes of a cluster that are asked for within this time get one placement group.
_GATHERING_SECONDS: Final = 0.05
_END_SECONDS: Final = 15.0


class Fleet:
    """Makes nodes, and ends them.

    Args:
        home: What every node is told.
        options: How to use Ray.
        answers: Brings what actors answer.
        following: Hears those that are there.
        send: Tells the service.
    """

    def __init__(
        self,
        home: Home,
        options: RayOptions,
        *,
        answers: Answers,
        following: Following,
        send: Callable[[object], None],
    ) -> None:
        self._home = home
        self._answers = answers
        self._following = following
        self._send = send
        self._lock = threading.RLock()
        self._actors: dict[str, Any] = {}
        self._wanted: set[str] = set()
        self._gathered: dict[str, list[WantedNode]] = {}
        self._groups = Groups(
            options.strategy,
            options.patience_seconds,
            is_wanted=lambda node_id: node_id in self._wanted,
            waits=lambda node_id, what_for: send(Waits(node_id, what_for)),
        )
        self._ending: list[threading.Thread] = []

    def actor(self, node_id: str) -> Any:
        """Return the actor of a node; None where there is none.

        Args:
            node_id: The node.
        """
        return self._actors.get(node_id)

    def make(self, node: WantedNode) -> None:
        """Make a node, or find the one that was made for an earlier service.

        Args:
            node: What is asked for.
        """
        with self._lock:
            if node.node_id in self._wanted:
                return  # it was asked for while this driver was told which there are
            self._wanted.add(node.node_id)
            key = f"{node.machine.cluster_uid} {node.gpu_count} {node.machine}"
            gathered = self._gathered.setdefault(key, [])
            gathered.append(node)
            if len(gathered) == 1:
                later(_GATHERING_SECONDS, self._make_gathered, key)

    def adopt(self, nodes: Sequence[EarlierNode]) -> None:
        """Find the nodes that an earlier driver had.

        Args:
            nodes: All of them, and what they said of themselves.
        """
        # First the places of all: the group of one that is lost may hold others that are not.
        for node in nodes:
            facts = node.facts
            self._groups.adopt(node.node_id, node.cluster_uid, facts.group, facts.machine_id)
        for node in nodes:
            self._adopt(node.node_id)

    def lose(self, node_id: str, why: str) -> None:
        """Give a node up that is no more, or cannot be asked.

        Args:
            node_id: The node.
            why: Why.
        """
        with self._lock:
            actor = self._actors.pop(node_id, None)
            self._wanted.discard(node_id)
        self._following.forget(node_id)
        if actor is not None:
            # One that is cut off, or whose answers fail, must not go on where nobody hears of it.
            kill_actor(actor)
        self._groups.give_back(node_id)
        self._send(Gone(node_id, why))

    def release(self, node_id: str) -> None:
        """End a node that is not wanted any more.

        Args:
            node_id: The node.
        """
        with self._lock:
            self._wanted.discard(node_id)
            actor = self._actors.pop(node_id, None)
        self._following.forget(node_id)
        if actor is None:
            self._groups.give_back(node_id)
        else:
            self._begin_to_end(self._end, node_id, actor)

    def sweep(self, known: set[str]) -> None:
        """End all nodes of the service but some, and remove groups that have none.

        Args:
            known: Those that stay.
        """
        self._begin_to_end(self._end_all_but, known)

    def leave(self) -> None:
        """End all nodes: the service will not come back."""
        with self._lock:
            self._wanted.clear()
        self.sweep(set())

    def wait_for_ends(self) -> None:
        """Wait until what is being ended has been, a quarter of a minute for each."""
        for thread in self._ending:
            thread.join(_END_SECONDS)

    # Nodes come.

    def _adopt(self, node_id: str) -> None:
        with self._lock:
            self._wanted.add(node_id)
            actor = find_actor(node_id)
            if actor is not None:
                self._actors[node_id] = actor
        if actor is None:
            self.lose(node_id, "Ray has no actor of it any more")
        else:
            self._following.follow(node_id, actor)

    def _make_gathered(self, key: str) -> None:
        with self._lock:
            nodes = self._gathered.pop(key)
        self._place([node for node in nodes if not self._find(node)])

    def _find(self, node: WantedNode) -> bool:
        """Take over a node that was made for a service that did not live to hear of it."""
        actor = find_actor(node.node_id)
        if actor is None:
            return False
        with self._lock:
            self._actors[node.node_id] = actor
        self._welcome(node.node_id, node.machine.cluster_uid, actor)
        return True

    def _place(self, nodes: Sequence[WantedNode]) -> None:
        nodes = [node for node in nodes if node.node_id in self._wanted]
        if not nodes:
            return
        try:
            places = self._groups.place(nodes)
        except NoPlaceError as error:
            self._send(Gone(nodes[0].node_id, str(error), placed=False))
            return
        except Exception as error:  # noqa: BLE001  # whatever Ray says of it
            for node in nodes:
                self._send(Gone(node.node_id, f"Ray made no place for it: {error}", placed=False))
            return
        for place in places:
            self._start(place)
        if not places:
            # Not all at once; so each by itself, all of them waiting.
            for node in nodes:
                threading.Thread(target=self._place, args=([node],), daemon=True).start()

    def _start(self, place: Place) -> None:
        node_id = place.node.node_id
        with self._lock:
            if node_id not in self._wanted:
                self._groups.give_back(node_id)
                return
            try:
                actor = self._actors[node_id] = make_actor(place, self._home)
            except Exception as error:  # noqa: BLE001  # whatever Ray says of it
                self._groups.give_back(node_id)
                why = f"Ray made no actor for it: {first_line(error)}"
                self._send(Gone(node_id, why, placed=False))
                return
        self._welcome(node_id, place.node.machine.cluster_uid, actor)

    def _welcome(self, node_id: str, cluster_uid: str, actor: Any) -> None:
        def told(answer: "Future[NodeFacts]") -> None:
            error = answer.exception()
            if error is not None:
                self.lose(node_id, f"it did not start: {error}")
                return
            facts = answer.result()
            self._groups.adopt(node_id, cluster_uid, facts.group, facts.machine_id)
            self._send(Up(node_id, facts))
            self._following.follow(node_id, actor)

        self._answers.ask(actor.facts.remote(), told)

    # Nodes go.

    def _begin_to_end(self, target: Callable[..., None], *arguments: object) -> None:
        # In a thread, since those that are ended may take their time.
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._ending = [other for other in self._ending if other.is_alive()]
        self._ending.append(thread)
        thread.start()

    def _end(self, node_id: str, actor: Any) -> None:
        end_actor(actor, _END_SECONDS)
        self._groups.give_back(node_id)

    def _end_all_but(self, known: set[str]) -> None:
        threads = []
        for name in set(actor_names()) - known:
            with self._lock:
                actor = None if name in self._wanted else find_actor(name)
            if actor is not None:
                threads.append(threading.Thread(target=self._end, args=(name, actor), daemon=True))
                threads[-1].start()
        for thread in threads:
            thread.join(_END_SECONDS)
        self._groups.sweep()
