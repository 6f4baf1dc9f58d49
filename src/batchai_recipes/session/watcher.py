"""Watcher: what is seen to while a session lives, beside what the program does."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.concurrency import Concurrency, Repeated, Threads
from batchai_recipes.errors import ClusterError
from batchai_recipes.session.cluster_age import ClusterAge
from batchai_recipes.session.lease import LEASE

RENEWAL_SECONDS: Final = LEASE.total_seconds() / 3
_LOOKS_PER_LIMIT: Final = 4
_LONGEST_LOOK_SECONDS: Final = 15.0
_LOOK_SECONDS_WITHOUT_LIMITS: Final = 60.0


class Watcher:
    """Renews a session's lease, and deletes clusters that idle or live too long.

    Args:
        limits: How long each cluster may stay, by its name.
        renew: Renews the lease.
        busy: Asks whether a cluster has jobs; raises ClusterError where it is gone.
        retire: Deletes a cluster for a reason.
        warn: Told of what failed, which is tried again, and what to do.
        report: Told when that has ended.
        monotonic: Tells seconds on a clock that never goes back.
        concurrency: How the looks are done beside the program; None for a thread.
    """

    def __init__(
        self,
        limits: Mapping[str, ClusterLimits],
        *,
        renew: Callable[[], None],
        busy: Callable[[str], bool],
        retire: Callable[[str, str], None],
        warn: Callable[[str], None],
        report: Callable[[str], None],
        monotonic: Callable[[], float],
        concurrency: Concurrency | None = None,
    ) -> None:
        self._limits = limits
        self._renew = renew
        self._busy = busy
        self._retire = retire
        self._warn = warn
        self._report = report
        self._monotonic = monotonic
        self._renewed = monotonic()
        self._ages: dict[str, ClusterAge] = {}
        self._failing: dict[str, str] = {}
        self._concurrency = concurrency or Threads()
        self._looks: Repeated | None = None

    def watch(self, cluster: str, lived: float = 0.0) -> None:
        """Begin to count the time of a cluster.

        Args:
            cluster: Its name.
            lived: For how many seconds it has lived already.
        """
        if cluster in self._limits:
            self._ages[cluster] = ClusterAge(self._limits[cluster], self._monotonic, lived)

    @property
    def pause(self) -> float:
        """How many seconds to wait between two looks."""
        given = [one.shortest for one in self._limits.values() if one.shortest is not None]
        if not given:
            return _LOOK_SECONDS_WITHOUT_LIMITS
        return min(min(given) / _LOOKS_PER_LIMIT, _LONGEST_LOOK_SECONDS)

    def start(self) -> None:
        """Begin to look now and then."""
        self._looks = self._concurrency.every(self.pause, self.look, "batchai-session")

    def stop(self) -> None:
        """Look no more; waits for a look that is under way."""
        looks, self._looks = self._looks, None
        if looks:
            looks.stop()

    def renew_soon(self) -> None:
        """Renew the lease with the next look, whenever that was done last."""
        self._renewed = min(self._renewed, self._monotonic() - RENEWAL_SECONDS)

    def look(self) -> None:
        """Do what is due now; what fails is told of, and tried again with the next look."""
        if self._monotonic() - self._renewed >= RENEWAL_SECONDS:
            self._attempt("renew the session's lease", self._renew_lease, self._lease_advice)
        for cluster in tuple(self._ages):
            self._attempt(
                f"see whether cluster {cluster} has reached a limit",
                partial(self._age, cluster),
                partial(_cluster_advice, cluster),
            )

    def _renew_lease(self) -> None:
        self._renew()
        self._renewed = self._monotonic()

    def _age(self, cluster: str) -> None:
        try:
            reason = self._ages[cluster].due(lambda: self._busy(cluster))
            if not reason:
                return
            self._retire(cluster, reason)
        except ClusterError as error:
            self._warn(str(error))
        del self._ages[cluster]

    def _attempt(self, what: str, act: Callable[[], None], advice: Callable[[], str]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - whatever it is, what is due must be done later
            # Once for as long as it means the same: it may fail with each look for hours.
            if self._failing.get(what) != advice():
                self._failing[what] = advice()
                self._warn(f"Could not {what}; it is tried again and again: {error}. {advice()}")
        else:
            if self._failing.pop(what, None):
                self._report(f"Could {what} at last")

    def _lease_advice(self) -> str:
        if self._monotonic() - self._renewed < LEASE.total_seconds():
            return (
                f"See with `batchai-recipes doctor` whether the service answers: "
                f"{LEASE.total_seconds() / 60:g} minutes after the last renewal, `batchai-recipes "
                f"reap` on another machine takes the session for dead"
            )
        return (
            "The lease has run out: `batchai-recipes reap` on another machine may delete what the "
            "session made, until a renewal succeeds"
        )


def _cluster_advice(cluster: str) -> str:
    return (
        f"It may stay, and cost, for longer than it should: where that lasts, delete it with "
        f"`batchai-recipes cluster delete {cluster}`"
    )
