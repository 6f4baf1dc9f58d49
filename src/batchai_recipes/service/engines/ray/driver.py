"""The driver: the process that talks to Ray for a service, and ends when either has gone.

``python -m batchai_recipes.service.engines.ray.driver DESCRIPTOR`` reads what to do from a socket.
"""

import contextlib
import importlib
import os
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NoReturn

from batchai_recipes.service.engines.ray.actors import (
    find_actor,
    first_line,
    is_passing,
    make_actor,
)
from batchai_recipes.service.engines.ray.following import Following, later
from batchai_recipes.service.engines.ray.groups import Groups, NoPlaceError, Place
from batchai_recipes.service.engines.ray.messages import (
    Adopt,
    Answer,
    Call,
    Changed,
    Connected,
    Failed,
    Gone,
    Home,
    Leave,
    Make,
    NodeFacts,
    RayOptions,
    Release,
    Stop,
    Sweep,
    Up,
    Waits,
    WantedNode,
)
from batchai_recipes.service.engines.ray.service_shares import ServiceShares

# Nodes of a cluster that are asked for within this time get one placement group.
_GATHERING_SECONDS: Final = 0.05
_CONNECT_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 1.0
_RELEASE_SECONDS: Final = 15.0
_PING_SECONDS: Final = 2.0
_PING_PATIENCE_SECONDS: Final = 10.0

_ray: Any = None


class Driver:
    """Does what a service asks of Ray.

    Args:
        connection: Leads to the service.
        messages: What the service says.
        home: What every node is told.
        options: How to use Ray.
    """

    def __init__(
        self,
        connection: Connection,
        messages: "queue.SimpleQueue[object]",
        home: Home,
        options: RayOptions,
    ) -> None:
        self._connection = connection
        self._messages = messages
        self._home = home
        self._sending = threading.Lock()
        self._lock = threading.RLock()
        self._actors: dict[str, Any] = {}
        self._wanted: set[str] = set()
        self._gathered: dict[str, list[WantedNode]] = {}
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._groups = Groups(
            options.strategy,
            options.patience_seconds,
            is_wanted=lambda node_id: node_id in self._wanted,
            waits=lambda node_id, what_for: self._send(Waits(node_id, what_for)),
        )
        self._following = Following(
            ServiceShares(Path(home.state) / "shares"),
            ask=self._ask,
            changed=lambda node_id, changes: self._send(Changed(node_id, changes)),
            lost=self._lose,
            patience_seconds=options.silence_seconds,
        )
        self._ending: list[threading.Thread] = []

    def run(self) -> None:
        """Work until the service has gone."""
        for name, target in (("events", self._handle_events), ("ping", self._ping)):
            threading.Thread(target=target, name=name, daemon=True).start()
        self._send(Connected())
        while True:
            message = self._messages.get()
            if isinstance(message, Stop):
                for thread in self._ending:
                    thread.join(_RELEASE_SECONDS)
                return
            self._take(message)

    def _take(self, message: object) -> None:
        if isinstance(message, Call):
            self._call(message)
        elif isinstance(message, Make):
            self._make(message.node)
        elif isinstance(message, Adopt):
            self._adopt(message)
        elif isinstance(message, Release):
            self._release(message.node_id)
        elif isinstance(message, Sweep):
            self._sweep(set(message.node_ids))
        elif isinstance(message, Leave):
            with self._lock:
                self._wanted.clear()
            self._sweep(set())

    def _send(self, message: object) -> None:
        with self._sending:
            try:
                self._connection.send(message)
            except OSError:
                os._exit(0)  # the service has gone

    def _handle_events(self) -> None:
        while True:
            self._events.get()()

    def _ping(self) -> None:
        """End with the head: Ray itself takes a minute to notice, and then ends this process."""
        while True:
            asked: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
            threading.Thread(target=_ask_head, args=(asked,), daemon=True).start()
            try:
                error: Exception | None = asked.get(timeout=_PING_PATIENCE_SECONDS)
            except queue.Empty:
                error = TimeoutError(f"no answer within {_PING_PATIENCE_SECONDS:g} s")
            if error is not None:
                self._fail(f"Ray's head does not answer any more ({error})")
            self._following.look()
            threading.Event().wait(_PING_SECONDS)

    def _fail(self, message: str) -> None:
        self._send(Failed(message))
        os._exit(1)

    # Nodes come and go.

    def _make(self, node: WantedNode) -> None:
        with self._lock:
            self._wanted.add(node.node_id)
            key = f"{node.machine.cluster_uid} {node.gpu_count} {node.machine}"
            gathered = self._gathered.setdefault(key, [])
            gathered.append(node)
            if len(gathered) == 1:
                later(_GATHERING_SECONDS, self._make_gathered, key)

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
            actor = make_actor(place, self._home)
            self._actors[node_id] = actor
        self._welcome(node_id, place.node.machine.cluster_uid, actor)

    def _welcome(self, node_id: str, cluster_uid: str, actor: Any) -> None:
        def told(answer: "Future[NodeFacts]") -> None:
            error = answer.exception()
            if error is not None:
                self._lose(node_id, f"it did not start: {error}")
                return
            facts = answer.result()
            self._groups.adopt(node_id, cluster_uid, facts.group, facts.machine_id)
            self._send(Up(node_id, facts))
            self._following.follow(node_id, actor)

        self._ask(actor.facts.remote(), told)

    def _adopt(self, message: Adopt) -> None:
        node_id = message.node_id
        self._groups.adopt(
            node_id, message.cluster_uid, message.facts.group, message.facts.machine_id
        )
        with self._lock:
            self._wanted.add(node_id)
            actor = find_actor(node_id)
            if actor is not None:
                self._actors[node_id] = actor
        if actor is None:
            self._lose(node_id, "Ray has no actor of it any more")
        else:
            self._following.follow(node_id, actor)

    def _lose(self, node_id: str, why: str) -> None:
        with self._lock:
            actor = self._actors.pop(node_id, None)
            self._wanted.discard(node_id)
        self._following.forget(node_id)
        if actor is not None:
            # One that is cut off, or whose answers fail, must not go on where nobody hears of it.
            with contextlib.suppress(Exception):
                _ray.kill(actor)
        self._groups.give_back(node_id)
        self._send(Gone(node_id, why))

    def _release(self, node_id: str) -> None:
        with self._lock:
            self._wanted.discard(node_id)
            actor = self._actors.pop(node_id, None)
        self._following.forget(node_id)
        if actor is None:
            self._groups.give_back(node_id)
            return
        thread = threading.Thread(target=self._end, args=(node_id, actor), daemon=True)
        self._ending = [other for other in self._ending if other.is_alive()]
        self._ending.append(thread)
        thread.start()

    def _end(self, node_id: str, actor: Any) -> None:
        with contextlib.suppress(Exception):  # it is killed in any case
            _ray.get(actor.end.remote(), timeout=_RELEASE_SECONDS)
        with contextlib.suppress(Exception):
            _ray.kill(actor)
        self._groups.give_back(node_id)

    def _sweep(self, known: set[str]) -> None:
        # In a thread, since those that are ended may take their time.
        thread = threading.Thread(target=self._end_all_but, args=(known,), daemon=True)
        self._ending.append(thread)
        thread.start()

    def _end_all_but(self, known: set[str]) -> None:
        found = [name for name in _ray.util.list_named_actors() if name not in known]
        threads = []
        for name in found:
            with self._lock:
                actor = None if name in self._wanted else find_actor(name)
            if actor is not None:
                threads.append(threading.Thread(target=self._end, args=(name, actor), daemon=True))
                threads[-1].start()
        for thread in threads:
            thread.join(_RELEASE_SECONDS)
        self._groups.sweep()

    # Calls.

    def _call(self, call: Call) -> None:
        actor = self._actors.get(call.node_id)
        if actor is None:
            self._answer(Answer(call.number, unreachable="the node is gone"))
            return

        def told(answer: "Future[object]") -> None:
            error = answer.exception()
            if error is None:
                self._answer(Answer(call.number, answer.result()))
            elif is_passing(error):
                # Whether it was heard is not known; a node does nothing twice.
                later(_RETRY_SECONDS, self._call, call)
            else:
                self._answer(Answer(call.number, unreachable=first_line(error)))

        self._ask(getattr(actor, call.method).remote(*call.arguments), told)

    def _answer(self, answer: Answer) -> None:
        if answer.number:  # else nobody waits for it
            self._send(answer)

    def _ask(self, reference: Any, told: "Callable[[Future[Any]], None]") -> None:
        # Ray calls back from a thread that must not wait for anything.
        reference.future().add_done_callback(lambda answer: self._events.put(lambda: told(answer)))


def _ask_head(asked: "queue.SimpleQueue[Exception | None]") -> None:
    try:
        _ray.util.list_named_actors()
    except Exception as error:  # noqa: BLE001  # whatever Ray says of it
        asked.put(error)
    else:
        asked.put(None)


def _read(connection: Connection, messages: "queue.SimpleQueue[object]") -> None:
    """Hear the service; once it has gone, end, whatever this process waits for."""
    while True:
        try:
            messages.put(connection.recv())
        except (EOFError, OSError):  # noqa: PERF203  # it happens once
            os._exit(0)


def _give_up(connection: Connection, message: str) -> NoReturn:
    connection.send(Failed(message))
    os._exit(1)


def main(descriptor: int) -> None:
    """Connect to Ray and work until the service has gone.

    Args:
        descriptor: The socket that leads to the service.
    """
    global _ray  # noqa: PLW0603  # loaded once, when it is known to be there
    connection = Connection(descriptor)
    messages: queue.SimpleQueue[object] = queue.SimpleQueue()
    home, options = connection.recv()
    threading.Thread(target=_read, args=(connection, messages), daemon=True).start()
    problem = f"There is no Ray cluster at {options.address!r}"
    too_long = threading.Timer(_CONNECT_SECONDS, _give_up, (connection, f"{problem}: no answer"))
    too_long.daemon = True
    too_long.start()
    try:
        _ray = importlib.import_module("ray")
        _ray.init(
            address=options.address,
            namespace=home.namespace,
            log_to_driver=False,
            logging_level="error",
            configure_logging=False,
        )
    except Exception as error:  # noqa: BLE001  # whatever Ray says of it
        _give_up(connection, f"{problem}: {error}")
    too_long.cancel()
    Driver(connection, messages, home, options).run()
    os._exit(0)  # nodes are detached, and Ray's own clean-up may wait for a head that is gone


if __name__ == "__main__":
    main(int(sys.argv[1]))
