"""What a node has to tell its service: everything once, and nothing lost on the way."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from batchai_recipes.service.engines.engine import Ended, Owner, TaskStatus
from batchai_recipes.service.engines.ray.messages import Changes
from batchai_recipes.service.engines.ray.share_copies import Change

_SCAN_SECONDS: Final = 0.5

_Owner = tuple[Owner, str]


class Told(Protocol):
    """What there is to tell of."""

    def owners(self) -> Iterable[tuple[Owner, str]]:
        """Return all that have tasks, by kind and its id or run."""
        ...

    def tasks(self, owner: tuple[Owner, str]) -> Mapping[str, TaskStatus]:
        """Return the status of all tasks of an owner, by name."""
        ...

    def is_copying(self) -> bool:
        """Tell whether something may be written to copies of shares."""
        ...

    def written(self, *, final: bool) -> tuple[tuple[Change, ...], bool]:
        """Return what was written to copies of shares, and whether that is all.

        Args:
            final: Whether to look again at what was sent while it was written.
        """
        ...

    def shares(self) -> tuple[str, ...]:
        """Return the shares that have copies."""
        ...

    def begin_anew(self) -> None:
        """Forget what was written and told, as nobody remembers it."""
        ...


class News:
    """Answers the requests of a service's drivers, one after the other.

    An answer is kept until the next request says that it has arrived. A request is over as soon as
    there is a later one, which may come because the answer to the earlier one was lost: nothing is
    taken out for a request to which nobody listens any more.

    Args:
        told: What there is to tell of.
        scan_seconds: How often to look for what was written to copies of shares.
    """

    def __init__(self, told: Told, scan_seconds: float = _SCAN_SECONDS) -> None:
        self._told = told
        self._scan_seconds = scan_seconds
        self._condition = threading.Condition()
        self._looking = threading.Lock()
        self._changed: set[_Owner] = set()
        self._wants = False
        self._follower = 0
        self._requests = 0
        self._whole = False
        self._is_busy = False
        self._number = 0
        self._in_flight: Changes | None = None
        self._tickets = 0
        self._awaited: dict[int, _Owner] = {}
        self._flying: list[int] = []

    def notice(self, owner: tuple[Owner, str]) -> None:
        """Take note that a task may have changed.

        Args:
            owner: Whose it is.
        """
        with self._condition:
            self._changed.add(owner)
            self._condition.notify_all()

    def want_shares(self) -> None:
        """Ask what is in the shares, for what waits for that."""
        with self._condition:
            self._wants = True
            self._condition.notify_all()

    def wait_for(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait for what comes with a change.

        Args:
            holds: Whether it has come.
            seconds: How long to wait.

        Returns:
            Whether it came in time.
        """
        with self._condition:
            return self._condition.wait_for(holds, seconds)

    def confirm(self, owner: tuple[Owner, str], seconds: float) -> bool:
        """Tell of an owner's tasks, and of all that was written, and wait until that has arrived.

        Args:
            owner: Whose tasks.
            seconds: How long to wait.

        Returns:
            Whether it arrived in time.
        """
        with self._condition:
            self._tickets += 1
            ticket = self._tickets
            self._awaited[ticket] = owner
            self._changed.add(owner)
            self._condition.notify_all()
            arrived = self._condition.wait_for(lambda: ticket not in self._awaited, seconds)
            self._awaited.pop(ticket, None)
            return arrived

    def tell(self, follower: int, received: int, seconds: float) -> Changes:
        """Wait until something changes, and say what.

        Args:
            follower: Who asks. One that asks for the first time is told everything.
            received: The number of the last changes that have arrived.
            seconds: How long to wait at most.
        """
        request = self._enter(follower)
        deadline = time.monotonic() + seconds
        while True:
            with self._looking:
                found = self._look(request, received)
            if found is not None:
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                return Changes(number=received)
            self._wait(request, left)

    def _enter(self, follower: int) -> int:
        with self._condition:
            self._requests += 1
            request = self._requests
            self._condition.notify_all()
        if follower != self._follower:
            with self._looking:  # what looks now is for an earlier request
                self._begin(follower)
        return request

    def _begin(self, follower: int) -> None:
        with self._condition:
            self._follower = follower
            self._in_flight, self._flying = None, []
            self._whole = True
            self._wants = True
        self._told.begin_anew()
        owners = set(self._told.owners())
        with self._condition:
            self._changed |= owners

    def _wait(self, request: int, left: float) -> None:
        copying = self._told.is_copying()
        with self._condition:
            self._condition.wait_for(
                lambda: (
                    (self._changed and not self._is_busy)
                    or self._wants
                    or self._requests != request
                ),
                min(left, self._scan_seconds) if copying or self._is_busy else left,
            )

    def _look(self, request: int, received: int) -> Changes | None:
        with self._condition:
            if self._requests != request:
                return Changes(superseded=True)
            if self._in_flight is not None and self._in_flight.number != received:
                return self._in_flight  # what was told before did not arrive
            self._arrive()
            changed, self._changed = self._changed, set()
            tickets = [ticket for ticket, owner in self._awaited.items() if owner in changed]
            wanted, self._wants = self._wants, False
        tasks = {owner: self._told.tasks(owner) for owner in changed}
        ended = any(isinstance(s, Ended) for each in tasks.values() for s in each.values())
        final = ended or bool(tickets)
        written: tuple[Change, ...] = ()
        is_all = True
        if final or self._told.is_copying():
            written, is_all = self._told.written(final=final)
        return self._send(tasks, written, tickets, wanted=wanted, is_all=is_all)

    def _arrive(self) -> None:
        """Take note that what was told last has arrived."""
        self._in_flight = None
        flown, self._flying = self._flying, []
        for ticket in flown:
            self._awaited.pop(ticket, None)
        if flown:
            self._condition.notify_all()

    def _send(
        self,
        tasks: Mapping[_Owner, Mapping[str, TaskStatus]],
        written: tuple[Change, ...],
        tickets: list[int],
        *,
        wanted: bool,
        is_all: bool,
    ) -> Changes | None:
        shares = self._told.shares() if wanted else ()
        with self._condition:
            whole = self._whole and is_all
            self._is_busy = not is_all
            if not is_all:  # a task has not ended before what it wrote is there
                self._changed |= set(tasks)
                tasks, tickets = {}, []
            if not (tasks or written or shares or whole):
                return None
            self._whole = self._whole and not whole
            self._number += 1
            self._flying = tickets
            self._in_flight = Changes(tasks, self._number, written, shares, whole=whole)
            return self._in_flight
