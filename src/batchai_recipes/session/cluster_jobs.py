"""What is on a cluster of a session: its state and the session's jobs."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from attrs import frozen

from batchai_recipes.connection import Connection
from batchai_recipes.errors import RequestError
from batchai_recipes.refusals import explained, status_of
from batchai_recipes.session.blueprint import Blueprint
from batchai_recipes.session.cluster_state import ClusterState
from batchai_recipes.session.existing_cluster import mounts_of, own_shares

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Cluster, Job

_ENDED: Final = frozenset({"succeeded", "failed"})


@frozen
class ClusterJobs:
    """Asks the service about the clusters of a session, and terminates jobs on them.

    Args:
        connection: Where they are.
        blueprint: What everything is called.
    """

    connection: Connection
    blueprint: Blueprint

    def cluster(self, name: str) -> "Cluster":
        """Ask the service for a cluster.

        Args:
            name: The cluster's name.

        Raises:
            RequestError: There is none, or the service did not answer.
        """
        with explained(f"get cluster {name}"):
            return self.connection.batchai.clusters.get(*self.blueprint.names.cluster_place(name))

    def find(self, name: str) -> "Cluster | None":
        """Ask the service for a cluster that may be gone.

        Args:
            name: The cluster's name.

        Returns:
            The cluster; None where there is none.

        Raises:
            RequestError: The service refused or did not answer.
        """
        try:
            return self.cluster(name)
        except RequestError as error:
            cause = error.__cause__
            if isinstance(cause, Exception) and status_of(cause) == HTTPStatus.NOT_FOUND:
                return None
            raise

    def mounted_shares(self, clusters: Iterable[str]) -> tuple[str, ...]:
        """Return the file shares of the connection's account that clusters mount.

        Args:
            clusters: The names of the clusters; those that are not there mount nothing.

        Raises:
            RequestError: The service refused or did not answer.
        """
        found = filter(None, map(self.find, clusters))
        account = self.connection.storage.name
        return own_shares(mount for one in found for mount in mounts_of(one, account))

    def is_busy(self, name: str) -> bool | None:
        """Tell whether a cluster has jobs, or nodes that come or go.

        Args:
            name: The cluster's name.

        Returns:
            Whether it has; None where the cluster is gone.

        Raises:
            RequestError: The service refused or did not answer.
        """
        found = self.find(name)
        if found is None:
            return None
        return not ClusterState.of(found).settled or bool(self.unended(name))

    def unended(self, cluster: str) -> list[str]:
        """Return the names of the session's experiment's jobs that wait for or run on a cluster.

        Args:
            cluster: The cluster's name.

        Raises:
            RequestError: The service refused or did not answer.
        """
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

        wanted = self.blueprint.cluster_id(cluster).casefold()
        place = self.blueprint.names.experiment_place
        with explained(f"list the jobs on cluster {cluster}"):
            pages = self.connection.batchai.jobs.list_by_experiment(*place)
            try:
                # The package's annotation names the page in place of the item.
                jobs: list[Job] = list(pages)  # type: ignore[arg-type]
            except ResourceNotFoundError:  # the experiment is made after the clusters
                return []
        return [
            str(getattr(job, "name", ""))
            for job in jobs
            if job.cluster
            and str(job.cluster.id).casefold() == wanted
            and str(getattr(job.execution_state, "value", job.execution_state)) not in _ENDED
        ]

    def terminate(self, cluster: str) -> None:
        """Terminate the session's jobs on a cluster.

        Args:
            cluster: The cluster's name.

        Raises:
            RequestError: The service refused or did not answer.
        """
        for name in self.unended(cluster):
            with explained(f"terminate job {name}"):
                place = self.blueprint.names.job_place(name)
                self.connection.batchai.jobs.begin_terminate(*place).wait()
