"""Watcher: what is seen to while a session lives, beside what the program does."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.concurrency import Concurrency, Repeated, Threads
from batchai_recipes.errors import BatchAIRecipesError
from batchai_recipes.session.cluster_age import ClusterAge
from batchai_recipes.session.lease import LEASE

RENEWAL_SECONDS: Final = LEASE.total_seconds() / 3
_LOOKS_PER_LIMIT: Final = 4
_LONGEST_LOOK_SECONDS: Final = 15.0


class Watcher:
    """Renews a session's lease, and deletes clusters that idle or live too long.

    Args:
        limits: How long each cluster may stay, by its name.
        renew: Renews the lease.
        busy: Asks whether a cluster has jobs.
        retire: Deletes a cluster for a reason.
        report: Told of what failed; it is tried again.
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
        report: Callable[[str], None],
        monotonic: Callable[[], float],
        concurrency: Concurrency | None = None,
    ) -> None:
        self._limits = limits
        self._renew = renew
        self._busy = busy
        self._retire = retire
        self._report = report
        self._monotonic = monotonic
        self._renewed = monotonic()
        self._ages: dict[str, ClusterAge] = {}
        self._concurrency = concurrency or Threads()
        self._looks: Repeated | None = None

    def watch(self, cluster: str) -> None:
        """Begin to count the time of a cluster.

        Args:
            cluster: Its name.
        """
        self._ages[cluster] = ClusterAge(self._limits[cluster], self._monotonic)

    def start(self) -> None:
        """Begin to look now and then."""
        given = [one.shortest for one in self._limits.values() if one.shortest is not None]
        pause = RENEWAL_SECONDS
        if given:
            pause = min(min(given) / _LOOKS_PER_LIMIT, _LONGEST_LOOK_SECONDS)
        self._looks = self._concurrency.every(pause, self.look, "batchai-session")

    def stop(self) -> None:
        """Look no more; waits for a look that is under way."""
        looks, self._looks = self._looks, None
        if looks:
            looks.stop()

    def look(self) -> None:
        """Do what is due now; what fails is reported and tried again with the next look."""
        if self._monotonic() - self._renewed >= RENEWAL_SECONDS:
            self._attempt("renew the session's lease", self._renew_lease)
        for cluster in tuple(self._ages):
            self._attempt(f"look after cluster {cluster}", partial(self._age, cluster))

    def _renew_lease(self) -> None:
        self._renew()
        self._renewed = self._monotonic()

    def _age(self, cluster: str) -> None:
        reason = self._ages[cluster].due(lambda: self._busy(cluster))
        if reason:
            self._retire(cluster, reason)
            del self._ages[cluster]

    def _attempt(self, what: str, act: Callable[[], None]) -> None:
        try:
            act()
        except BatchAIRecipesError as error:
            self._report(f"Could not {what}, trying again: {error}")
