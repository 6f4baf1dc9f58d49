"""The names that lead to one job."""

from attrs import frozen


@frozen
class JobPlace:
    """Where a job is.

    Args:
        resource_group: The resource group.
        workspace: The workspace in it.
        experiment: The experiment in the workspace.
        job: The job in the experiment.
    """

    resource_group: str
    workspace: str
    experiment: str
    job: str

    @property
    def names(self) -> tuple[str, str, str, str]:
        """The names in the order in which the Azure clients take them."""
        return (self.resource_group, self.workspace, self.experiment, self.job)
