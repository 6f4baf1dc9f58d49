"""Following nodes: a request to each is always on its way, and answered when there is news."""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final

from attrs import define, evolve

from batchai_recipes.service.engines.ray.actors import first_line, is_passing
from batchai_recipes.service.engines.ray.answers import later
from batchai_recipes.service.engines.ray.messages import Changes
from batchai_recipes.service.engines.ray.service_shares import ServiceShares

_RETRY_SECONDS: Final = 1.0


@define
class _Followed:
    actor: Any
    asked_at: float = 0.0
    received: int = 0
    pinged_at: float | None = None


class Following:
    """Hears what nodes tell, and notices those that are silent.

    A process that is stopped, or whose machine hangs, is alive to Ray. So each request is answered
    within a third of the patience, news or not; whoever does not is asked whether it is there, in
    another thread of the node, and lost when it does not say so.

    Args:
        shares: Takes in what was written to copies of shares.
        ask: Has an answer of Ray handed to a function, in a thread that may wait.
        changed: Called with what has changed on a node.
        lost: Called with a node that is no more, and why.
        patience_seconds: How long a node may be silent.
        monotonic: A clock in seconds.
    """

    def __init__(
        self,
        shares: ServiceShares,
        *,
        ask: Callable[[Any, Callable[["Future[Any]"], None]], None],
        changed: Callable[[str, Changes], None],
        lost: Callable[[str, str], None],
        patience_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shares = shares
        self._ask = ask
        self._changed = changed
        self._lost = lost
        self._patience_seconds = patience_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._followed: dict[str, _Followed] = {}
        self._follower = secrets.randbits(63) | 1

    def follow(self, node_id: str, actor: Any) -> None:
        """Begin to follow a node.

        Args:
            node_id: The node.
            actor: Its actor.
        """
        followed = _Followed(actor)
        with self._lock:
            self._followed[node_id] = followed
        self._request(node_id, followed)

    def forget(self, node_id: str) -> None:
        """Follow a node no longer: what it says from now on is not heard.

        Args:
            node_id: The node.
        """
        with self._lock:
            self._followed.pop(node_id, None)

    def look(self) -> None:
        """Ask those that are silent whether they are there, and lose those that do not answer."""
        now = self._monotonic()
        with self._lock:
            silent = [
                (node_id, followed)
                for node_id, followed in self._followed.items()
                if now - followed.asked_at > self._patience_seconds / 2
            ]
        for node_id, followed in silent:
            pinged_at = followed.pinged_at  # an answer may come any moment
            if pinged_at is None:
                followed.pinged_at = now
                self._ping(node_id, followed)
            elif now - pinged_at > self._patience_seconds / 2:
                self._lost(node_id, f"it has been silent for {self._patience_seconds:g} s")

    def _is_followed(self, node_id: str, followed: _Followed) -> bool:
        return self._followed.get(node_id) is followed

    def _request(self, node_id: str, followed: _Followed) -> None:
        if not self._is_followed(node_id, followed):
            return
        followed.asked_at, followed.pinged_at = self._monotonic(), None
        seconds = self._patience_seconds / 3
        asked = followed.actor.changes.remote(self._follower, followed.received, seconds)
        self._ask(asked, lambda answer: self._hear(node_id, followed, answer))

    def _hear(self, node_id: str, followed: _Followed, answer: "Future[Changes]") -> None:
        if not self._is_followed(node_id, followed):
            return  # what a lost node says late does not count
        error = answer.exception()
        if error is None and not answer.result().superseded:
            self._take_in(node_id, followed, answer.result())
            self._request(node_id, followed)
        elif error is None or is_passing(error):
            later(_RETRY_SECONDS, self._request, node_id, followed)
        else:
            self._lost(node_id, first_line(error))

    def _take_in(self, node_id: str, followed: _Followed, changes: Changes) -> None:
        """Write what a node has written, and only then tell what became of its tasks."""
        for change in changes.shares:
            self._shares.take_in(change)
        followed.received = changes.number
        if changes.tasks or changes.whole:
            self._changed(node_id, evolve(changes, shares=()))
        if changes.wanted:
            arguments = (followed.actor, changes.wanted)
            threading.Thread(target=self._supply, args=arguments, daemon=True).start()

    def _supply(self, actor: Any, wanted: Sequence[str]) -> None:
        # What fails, the node tells; and a lost one is noticed by itself.
        actor.supply.remote({share: self._shares.state(share) for share in wanted})

    def _ping(self, node_id: str, followed: _Followed) -> None:
        def told(answer: "Future[object]") -> None:
            if answer.exception() is None and self._is_followed(node_id, followed):
                # It is busy with what it is asked for, such as a large file.
                followed.asked_at, followed.pinged_at = self._monotonic(), None

        self._ask(followed.actor.facts.remote(), told)
