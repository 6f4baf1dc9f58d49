"""What everything that a session makes is called."""

from attrs import field, frozen

from batchai_recipes.names import checked_group_name, checked_resource_name


def _as_tuple(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(names)


@frozen
class SessionNames:
    """The names of everything that a session makes or uses.

    Args:
        resource_group: The resource group.
        workspace: The workspace in it.
        experiment: The experiment in the workspace.
        clusters: The clusters in the workspace.

    Raises:
        ConfigurationError: A name is not allowed.

    Example:
        >>> SessionNames("group", "workspace", "experiment", ["cluster"]).clusters
        ('cluster',)
    """

    resource_group: str
    workspace: str
    experiment: str
    clusters: tuple[str, ...] = field(converter=_as_tuple)

    def __attrs_post_init__(self) -> None:
        checked_group_name(self.resource_group)
        checked_resource_name("workspace", self.workspace)
        checked_resource_name("experiment", self.experiment)

    @property
    def workspace_place(self) -> tuple[str, str]:
        """The names that lead to the workspace, as the Azure clients take them."""
        return (self.resource_group, self.workspace)

    @property
    def experiment_place(self) -> tuple[str, str, str]:
        """The names that lead to the experiment, as the Azure clients take them."""
        return (*self.workspace_place, self.experiment)

    def cluster_place(self, cluster: str) -> tuple[str, str, str]:
        """Return the names that lead to a cluster, as the Azure clients take them.

        Args:
            cluster: The cluster's name.
        """
        return (*self.workspace_place, cluster)

    def job_place(self, job: str) -> tuple[str, str, str, str]:
        """Return the names that lead to a job, as the Azure clients take them.

        Args:
            job: The job's name.
        """
        return (*self.experiment_place, job)
