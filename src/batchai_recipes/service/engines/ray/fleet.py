"""The nodes of a service as its driver has them: they are made, found again, lost and ended."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final

from batchai_recipes.service.engines.ray.actors import (
    actor_names,
    end_actor,
    find_actor,
    first_line,
    has_failed_itself,
    is_passing,
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

# Nodes of a cluster that are asked for within this time get one placement group. On a busy machine
# the scheduler takes a while from one to the next.
_GATHERING_SECONDS: Final = 0.2
_END_SECONDS: Final = 15.0
_RETRY_SECONDS: Final = 1.0


class Fleet:
    """Makes nodes, and ends them.

    Args:
        home: What every node is told.
        options: How to use Ray.
        answers: Brings what actors answer.
        following: Hears those that are there.
        send: Tells the service.
        monotonic: A clock in seconds.
    """

    def __init__(
        self,
        home: Home,
        options: RayOptions,
        *,
        answers: Answers,
        following: Following,
        send: Callable[[object], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = home
        self._answers = answers
        self._following = following
        self._send = send
        self._lock = threading.RLock()
        self._actors: dict[str, Any] = {}
        self._wanted: set[str] = set()
        self._gathered: dict[str, list[WantedNode]] = {}
        self._is_introduced = False
        self._starting: dict[str, float] = {}
        self._patience_seconds = options.patience_seconds
        self._monotonic = monotonic
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

        That may be before :meth:`sweep` ends the list of what there was, and is not begun before.

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
            if not self._is_introduced:
                self._groups.expect(node.node_id, node.machine.cluster_uid)
            elif len(gathered) == 1:
                later(_GATHERING_SECONDS, self._make_gathered, key)

    def adopt(self, nodes: Sequence[EarlierNode]) -> None:
        """Find the nodes that an earlier driver had.

        Args:
            nodes: All of them, and what they said of themselves.
        """
        # First the places of all: the group of one that is lost may hold others that are not.
        for node in nodes:
            self._groups.adopt(node.node_id, node.cluster_uid, node.facts)
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
            self._starting.pop(node_id, None)
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
            self._starting.pop(node_id, None)
            actor = self._actors.pop(node_id, None)
        self._following.forget(node_id)
        if actor is not None:
            self._begin_to_end(self._end, node_id, actor)
        elif not self._groups.expects(node_id):  # else it is still to be found, and then ended
            self._groups.give_back(node_id)

    def sweep(self, known: set[str]) -> None:
        """End all nodes of the service but some, and remove groups that have none.

        Args:
            known: Those that stay: all that are wanted, of which this driver has been told by now.
        """
        with self._lock:
            self._is_introduced = True
            for key in self._gathered:
                later(0.0, self._make_gathered, key)
        self._begin_to_end(self._end_all_but, known)

    def leave(self) -> None:
        """End all nodes: the service will not come back."""
        with self._lock:
            self._wanted.clear()
        self._begin_to_end(self._end_all)

    def look(self) -> None:
        """Give up the nodes that do not start, such as those whose machine Ray does not replace."""
        long_ago = self._monotonic() - self._patience_seconds
        with self._lock:
            late = [node_id for node_id, since in self._starting.items() if since < long_ago]
        for node_id in late:
            self.lose(node_id, f"it has not started in {self._patience_seconds:g} s")

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
            nodes = self._gathered.pop(key, [])
        self._find_or_place(nodes)

    def _find_or_place(self, nodes: Sequence[WantedNode]) -> None:
        self._place([node for node in nodes if not self._find(node)])

    def _find(self, node: WantedNode) -> bool:
        """Take over a node that was made for a service that did not live to hear of it."""
        if not self._groups.expects(node.node_id):
            return False
        try:
            actor = find_actor(node.node_id)
        except Exception:  # noqa: BLE001  # Ray does not answer; without its head this driver ends
            later(_RETRY_SECONDS, self._find_or_place, [node])
            return True
        if actor is None:
            self._groups.give_back(node.node_id)  # it has no place
            return False
        with self._lock:
            self._actors[node.node_id] = actor
            is_wanted = node.node_id in self._wanted
        if is_wanted:
            self._welcome(node, actor)
        else:
            self.release(node.node_id)
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
        placed = {place.node.node_id for place in places}
        rest = [node for node in nodes if node.node_id not in placed]
        if placed:
            self._place(rest)
        else:
            # Not all at once; so each by itself, all of them waiting.
            for node in rest:
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
        self._welcome(place.node, actor)

    def _welcome(self, node: WantedNode, actor: Any) -> None:
        node_id = node.node_id

        def told(answer: "Future[NodeFacts]") -> None:
            error = answer.exception()
            if error is None:
                self._settle(node, actor, answer.result())
            elif is_passing(error):
                later(_RETRY_SECONDS, self._welcome, node, actor)
            elif has_failed_itself(error):
                self.lose(node_id, f"it did not start: {error}")
            else:
                self._start_again(node)

        with self._lock:
            self._starting.setdefault(node_id, self._monotonic())
        self._answers.ask(actor.facts.remote(), told)

    def _settle(self, node: WantedNode, actor: Any, facts: NodeFacts) -> None:
        node_id = node.node_id
        with self._lock:
            if node_id not in self._wanted:
                return  # it is being ended
            self._starting.pop(node_id, None)
            is_apart = self._groups.adopt(node_id, node.machine.cluster_uid, facts)
        self._groups.tidy()
        self._send(Up(node_id, facts))
        if is_apart:
            self._following.follow(node_id, actor)
        else:
            self.lose(node_id, "Ray moved it to a machine with another node of its cluster")

    def _start_again(self, node: WantedNode) -> None:
        """Make a node anew whose machine or process was lost before anybody had heard of it."""
        with self._lock:
            self._actors.pop(node.node_id, None)
        self._groups.give_back(node.node_id)
        later(_RETRY_SECONDS, self._place, [node])

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

    def _end_all(self) -> None:
        self._end_all_but(set())
        self._groups.clear()

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
