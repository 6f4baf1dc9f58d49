"""The requests of a session: what is sent to make each of its resources, before it is sent."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.session.session_names import SessionNames
from batchai_recipes.settings import ConnectionSettings

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import (
        ClusterCreateParameters,
        JobCreateParameters,
        WorkspaceCreateParameters,
    )


@frozen
class Blueprint:
    """Builds the parameters of each request of a session, for sending and for showing.

    Args:
        session: The session's id.
        names: What everything is called.
        settings: The endpoint, and what clusters take from it.
        location: The Azure location.
        tags: Gives the tags of the workspace, when it is made.
        group_tags: Gives the tags of the resource group, when it is made.
    """

    session: str
    names: SessionNames
    settings: ConnectionSettings
    location: str
    tags: Callable[[], dict[str, str]] = field(default=dict[str, str])
    group_tags: Callable[[], dict[str, str]] = field(default=dict[str, str])

    def cluster_id(self, cluster: str) -> str:
        """Return the resource id of one of the session's clusters.

        Args:
            cluster: The cluster's name.
        """
        return self.path("cluster", self.names.cluster_place(cluster))

    def path(self, kind: str, names: tuple[str, ...]) -> str:
        """Return the path of a resource on the management plane.

        Args:
            kind: What it is.
            names: The names that lead to it.
        """
        group, *inner = names
        nouns = {
            "resource group": (),
            "workspace": ("workspaces",),
            "cluster": ("workspaces", "clusters"),
            "experiment": ("workspaces", "experiments"),
            "job": ("workspaces", "experiments", "jobs"),
        }[kind]
        path = f"/subscriptions/{self.settings.subscription_id}/resourceGroups/{group}"
        if nouns:
            path += "/providers/Microsoft.BatchAI"
        return path + "".join(f"/{noun}/{name}" for noun, name in zip(nouns, inner, strict=True))

    def resource_group(self) -> dict[str, Any]:
        """Return the parameters of the resource group."""
        return {"location": self.location, "tags": self.group_tags()}

    def workspace(self) -> "WorkspaceCreateParameters":
        """Return the parameters of the workspace."""
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        return models.WorkspaceCreateParameters(location=self.location, tags=self.tags())

    def cluster(self, cluster: ClusterBuilder) -> "ClusterCreateParameters":
        """Return the parameters of a cluster.

        Args:
            cluster: The cluster.

        Raises:
            ConfigurationError: It has no VM size.
        """
        return cluster.build(self.settings.storage, admin=self.settings.admin)

    def job(self, job: JobBuilder, cluster: ClusterBuilder) -> "JobCreateParameters":
        """Return the parameters of a job.

        Args:
            job: The job.
            cluster: The cluster that it runs on.

        Raises:
            ConfigurationError: The job does not fit the cluster.
        """
        return job.build(
            cluster_id=self.cluster_id(cluster.name),
            mounts=cluster.mounts,
            storage=self.settings.storage,
        )
