"""Finding clusters and jobs by their names, wherever in the subscription they are."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer
from attrs import frozen

from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import nearest
from batchai_recipes.refusals import explained
from batchai_recipes.runs.job_place import JobPlace

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Cluster, Job

    from batchai_recipes.connection import Connection

_PANEL: Final = "Where"

Group = Annotated[
    str | None,
    typer.Option(
        "--resource-group",
        "-g",
        envvar="AZURE_DEFAULTS_GROUP",
        help="Look in this resource group only.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
WorkspaceName = Annotated[
    str | None,
    typer.Option(
        "--workspace",
        "-w",
        help="Look in this workspace only.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
ExperimentName = Annotated[
    str | None,
    typer.Option(
        "--experiment",
        "-e",
        help="Look in this experiment only.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
ClusterName = Annotated[str, typer.Argument(help="The cluster's name, or its resource id.")]
JobName = Annotated[str, typer.Argument(help="The job's name, or its resource id.")]

_Model = TypeVar("_Model", "Cluster", "Job")


@frozen
class ClusterPlace:
    """Where a cluster is.

    Args:
        resource_group: The resource group.
        workspace: The workspace in it.
        cluster: The cluster in the workspace.
    """

    resource_group: str
    workspace: str
    cluster: str

    @property
    def names(self) -> tuple[str, str, str]:
        """The names in the order in which the Azure clients take them."""
        return (self.resource_group, self.workspace, self.cluster)


class Finder:
    """Looks through workspaces.

    Args:
        connect: Connects to where to look; called once, when that is first needed.
        resource_group: The resource group; None for all.
        workspace: The workspace; None for all.
        experiment: The experiment; None for all.
    """

    def __init__(
        self,
        connect: "Callable[[], Connection]",
        resource_group: str | None = None,
        workspace: str | None = None,
        experiment: str | None = None,
    ) -> None:
        self._connect = connect
        self._group = resource_group
        self._workspace = workspace
        self._experiment = experiment

    @cached_property
    def connection(self) -> "Connection":
        """Where it looks.

        Raises:
            ConfigurationError: The settings are incomplete.
            ServiceStartError: The embedded service did not start.
        """
        return self._connect()

    def clusters(self) -> "list[Cluster]":
        """Return the clusters.

        Raises:
            ConfigurationError: There is no group or workspace of the name.
            RequestError: The service did not answer.
        """
        with explained("list clusters"):
            listing = self.connection.batchai.clusters.list_by_workspace
            return [
                cluster
                for group, workspace in self._workspaces()
                for cluster in _listed(listing, group, workspace)
            ]

    def jobs(self) -> "list[Job]":
        """Return the jobs.

        Raises:
            ConfigurationError: There is no group, workspace or experiment of the name.
            RequestError: The service did not answer.
        """
        with explained("list jobs"):
            return [
                job
                for place in self._experiments()
                for job in _listed(self.connection.batchai.jobs.list_by_experiment, *place)
            ]

    def cluster(self, name: str) -> "tuple[ClusterPlace, Cluster]":
        """Find a cluster.

        Args:
            name: Its name or resource id.

        Raises:
            ConfigurationError: There is none, or there are several.
            RequestError: The service did not answer.
        """
        cluster = _only("cluster", name, self.clusters(), "--workspace or --resource-group")
        return place_of_cluster(cluster), cluster

    def job(self, name: str) -> "tuple[JobPlace, Job]":
        """Find a job.

        Args:
            name: Its name or resource id.

        Raises:
            ConfigurationError: There is none, or there are several.
            RequestError: The service did not answer.
        """
        job = _only("job", name, self.jobs(), "--experiment, --workspace or --resource-group")
        return place_of_job(job), job

    def _workspaces(self) -> list[tuple[str, str]]:
        found = [names_in(str(workspace.id)) for workspace in self._listed_workspaces()]
        places = [(one["resourcegroups"], one["workspaces"]) for one in found]
        if self._workspace is None:
            return places
        return _named("workspace", self._workspace, places)

    def _listed_workspaces(self) -> list[Any]:
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

        workspaces = self.connection.batchai.workspaces
        if not self._group:
            return list(workspaces.list())
        try:
            return list(workspaces.list_by_resource_group(self._group))
        except ResourceNotFoundError as error:
            groups = self.connection.resources.resource_groups.list()
            raise _none("resource group", self._group, {str(one.name) for one in groups}) from error

    def _experiments(self) -> list[tuple[str, ...]]:
        listing = self.connection.batchai.experiments.list_by_workspace
        places = [
            (group, workspace, str(experiment.name))
            for group, workspace in self._workspaces()
            for experiment in _listed(listing, group, workspace)
        ]
        if self._experiment is None:
            return [*places]
        return [*_named("experiment", self._experiment, places)]


def names_in(resource_id: str) -> dict[str, str]:
    """Return the names in a resource id by their kinds, in lower case.

    Args:
        resource_id: The resource id.

    Example:
        >>> names_in("/subscriptions/s/resourceGroups/Demo")
        {'subscriptions': 's', 'resourcegroups': 'Demo'}
    """
    parts = resource_id.strip("/").split("/")
    return {kind.lower(): name for kind, name in zip(parts[::2], parts[1::2], strict=False)}


def place_of_cluster(cluster: "Cluster") -> ClusterPlace:
    """Return where a cluster is."""
    names = names_in(str(cluster.id))
    return ClusterPlace(names["resourcegroups"], names["workspaces"], names["clusters"])


def place_of_job(job: "Job") -> JobPlace:
    """Return where a job is."""
    names = names_in(str(job.id))
    return JobPlace(
        names["resourcegroups"], names["workspaces"], names["experiments"], names["jobs"]
    )


def _only(noun: str, name: str, there: "list[_Model]", options: str) -> "_Model":
    wanted = name.casefold()
    found = [one for one in there if wanted in {str(one.name).casefold(), str(one.id).casefold()}]
    if len(found) == 1:
        return found[0]
    if found:
        places = "".join(f"\n  {one.id}" for one in found)
        raise ConfigurationError(
            f"There are {len(found)} {noun}s of the name {name!r}: choose by {options}, or give "
            f"the resource id{places}"
        )
    raise _none(noun, name, {str(one.name) for one in there})


_Place = TypeVar("_Place", bound=tuple[str, ...])


def _named(noun: str, name: str, places: list[_Place]) -> list[_Place]:
    found = [place for place in places if place[-1].casefold() == name.casefold()]
    if not found:
        raise _none(noun, name, {place[-1] for place in places})
    return found


def _none(noun: str, name: str, known: set[str]) -> ConfigurationError:
    hint = f": {nearest(name, known)}" if known else ", nor any other"
    return ConfigurationError(f"There is no {noun} {name!r}{hint}")


def _listed(listing: Callable[..., Iterable[Any]], *names: str) -> Iterator[Any]:
    """Yield what a listing has; nothing when what it lists has just been deleted.

    The package's annotations name the page in place of the item.
    """
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

    try:
        yield from listing(*names)
    except ResourceNotFoundError:
        return
