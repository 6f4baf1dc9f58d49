"""Clusters that are deleted before their session ends, since they idled or lived too long."""

from collections.abc import Iterator
from contextlib import contextmanager

from batchai_recipes.concurrency import concurrency_of
from batchai_recipes.errors import ClusterError
from batchai_recipes.session.provisioning import Provisioning
from batchai_recipes.session.run_folder import RunFolder


class ClusterRetirement:
    """Deletes such clusters, and tells who wants to use one.

    Args:
        provisioning: Made the clusters.
        folder: Told what happens.
    """

    def __init__(self, provisioning: Provisioning, folder: RunFolder) -> None:
        self._provisioning = provisioning
        self._folder = folder
        self._reasons: dict[str, str] = {}
        # No cluster is retired while a job is submitted to it.
        self._lock = concurrency_of(provisioning.connection).slots(1)

    @contextmanager
    def in_use(self, cluster: str) -> Iterator[None]:
        """Let a cluster be during the block.

        Args:
            cluster: Its name.

        Raises:
            ClusterError: It was deleted.
        """
        with self._lock:
            if cluster in self._reasons:
                raise ClusterError(f"Cluster {cluster} was deleted: {self._reasons[cluster]}")
            yield

    def is_busy(self, cluster: str) -> bool:
        """Tell whether a cluster has jobs, or nodes that come or go.

        Args:
            cluster: Its name.

        Raises:
            ClusterError: It is gone.
            RequestError: The service refused or did not answer.
        """
        busy = self._provisioning.cluster_jobs.is_busy(cluster)
        if busy is None:
            self._reasons[cluster] = "it is gone, though not by this session"
            self._provisioning.forget_cluster(cluster)
            raise ClusterError(
                f"Cluster {cluster} is gone, though this session has not deleted it: somebody "
                f"else has, or the service by its idle_timeout or max_lifetime while it did not "
                f"hear of this program. Jobs for it are refused from now on"
            )
        return busy

    def retire(self, cluster: str, reason: str) -> None:
        """Delete a cluster, its jobs terminated.

        Args:
            cluster: Its name.
            reason: Why.

        Raises:
            RequestError: The service refused or did not answer.
        """
        with self._lock:
            self._folder.report(f"Deleting cluster {cluster}: {reason}")
            self._provisioning.cluster_jobs.terminate(cluster)
            self._provisioning.retire_cluster(cluster)
            self._reasons[cluster] = reason
