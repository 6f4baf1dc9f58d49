"""Making what a session needs, one thing at a time, each with its undoing arranged before it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from attrs import frozen

from batchai_recipes.connection import Connection
from batchai_recipes.errors import RequestError
from batchai_recipes.names import checked_resource_name
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.session.cluster_state import wait_until_ready
from batchai_recipes.session.journal import Journal
from batchai_recipes.session.made import Made
from batchai_recipes.session.undo import UndoStack
from batchai_recipes.staging.file_share_staging import FileShareStaging
from batchai_recipes.staging.staged_manifest import StagedManifest
from batchai_recipes.staging.upload import create_share, upload

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Cluster, ClusterCreateParameters, JobCreateParameters


@frozen
class SessionNames:
    """The names of everything that a session makes.

    Args:
        resource_group: The resource group.
        workspace: The workspace in it.
        experiment: The experiment in the workspace.
        cluster: The cluster in the workspace.

    Raises:
        ConfigurationError: A name is not allowed.
    """

    resource_group: str
    workspace: str
    experiment: str
    cluster: str

    def __attrs_post_init__(self) -> None:
        checked_resource_name("resource group", self.resource_group)
        checked_resource_name("workspace", self.workspace)
        checked_resource_name("experiment", self.experiment)


class Provisioning:
    """Makes a session's resources through the Azure clients.

    Args:
        connection: Where to make them.
        names: What to call them.
        undo: Where to arrange their deletion.
        journal: Where to write down what is about to be made.
        report: Told, line by line, what happens.
    """

    def __init__(
        self,
        connection: Connection,
        names: SessionNames,
        undo: UndoStack,
        journal: Journal,
        report: Callable[[str], None],
    ) -> None:
        self.connection = connection
        self._names = names
        self._undo = undo
        self._journal = journal
        self._report = report

    @property
    def cluster_id(self) -> str:
        """The resource id of the session's cluster."""
        names = self._names
        return (
            f"/subscriptions/{self.connection.settings.subscription_id}"
            f"/resourceGroups/{names.resource_group}/providers/Microsoft.BatchAI"
            f"/workspaces/{names.workspace}/clusters/{names.cluster}"
        )

    def create_resource_group(self, location: str) -> None:
        """Make the resource group, unless it exists; one that exists is not deleted later.

        Args:
            location: The Azure location.
        """
        name = self._names.resource_group
        groups = self.connection.resources.resource_groups
        with explained(f"create resource group {name}"):
            if groups.check_existence(name):
                self._report(f"Using resource group {name}")
                return
            with self._making(Made("resource group", (name,))):
                groups.create_or_update(name, {"location": location})
        self._report(f"Created resource group {name}")

    def stage(self, staging: FileShareStaging, *, keep: bool) -> StagedManifest:
        """Make the share, unless it exists, and upload; one that exists is not deleted later."""
        files = self.connection.files
        share = staging.share
        if share_exists(self.connection, share):
            self._report(f"Using file share {share}")
        else:
            made = Made("file share", (share,))
            with nullcontext() if keep else self._making(made):
                is_new = create_share(files, share)
            if not is_new and not keep:
                self._leave(made)  # somebody else made it in between
            self._report(f"Created file share {share}")
        return upload(files, staging, self._report)

    def create_workspace(self, location: str) -> None:
        """Make the workspace.

        Args:
            location: The Azure location.
        """
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        names = self._names
        place = (names.resource_group, names.workspace)
        workspaces = self.connection.batchai.workspaces
        with explained(f"create workspace {names.workspace}"):
            self._refuse_existing("workspace", names.workspace, lambda: workspaces.get(*place))
            with self._making(Made("workspace", place)):
                parameters = models.WorkspaceCreateParameters(location=location)
                workspaces.begin_create(*place, parameters).result()
        self._report(f"Created workspace {names.workspace}")

    def create_cluster(self, parameters: "ClusterCreateParameters") -> None:
        """Make the cluster; its nodes come later."""
        names = self._names
        place = (names.resource_group, names.workspace, names.cluster)
        clusters = self.connection.batchai.clusters
        with explained(f"create cluster {names.cluster}"):
            self._refuse_existing("cluster", names.cluster, lambda: clusters.get(*place))
            with self._making(Made("cluster", place)):
                clusters.begin_create(*place, parameters).result()
        self._report(f"Created cluster {names.cluster}")

    def cluster(self) -> "Cluster":
        """Ask the service for the cluster."""
        names = self._names
        with explained(f"get cluster {names.cluster}"):
            return self.connection.batchai.clusters.get(
                names.resource_group, names.workspace, names.cluster
            )

    def wait_for_cluster(self, pacing: Pacing, timeout: float | None) -> None:
        """Wait until the cluster's nodes can take jobs."""
        wait_until_ready(
            self._names.cluster, self.cluster, report=self._report, pacing=pacing, timeout=timeout
        )

    def create_experiment(self) -> None:
        """Make the experiment."""
        names = self._names
        place = (names.resource_group, names.workspace, names.experiment)
        experiments = self.connection.batchai.experiments
        with explained(f"create experiment {names.experiment}"):
            self._refuse_existing("experiment", names.experiment, lambda: experiments.get(*place))
            with self._making(Made("experiment", place)):
                experiments.begin_create(*place).result()
        self._report(f"Created experiment {names.experiment}")

    def create_job(self, name: str, parameters: "JobCreateParameters") -> None:
        """Make a job."""
        names = self._names
        place = (names.resource_group, names.workspace, names.experiment, name)
        jobs = self.connection.batchai.jobs
        with explained(f"create job {name}"):
            self._refuse_existing("job", name, lambda: jobs.get(*place))
            with self._making(Made("job", place)):
                jobs.begin_create(*place, parameters).result()
        self._report(f"Created job {name}")

    @contextmanager
    def _making(self, made: Made) -> Iterator[None]:
        """Arrange the deletion of something, then let the block make it.

        Before, since nobody can tell after an interrupted request whether it was made.
        """
        from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415 - on first use

        self._journal.about_to_make(made)
        self._undo.push(str(made), lambda: self._delete(made))
        try:
            yield
        except ResourceExistsError:
            self._leave(made)  # somebody else made it in between
            raise

    def _delete(self, made: Made) -> None:
        made.delete(self.connection)
        self._journal.gone(made)

    def _leave(self, made: Made) -> None:
        self._undo.drop(str(made))
        self._journal.gone(made)

    def _refuse_existing(self, noun: str, name: str, get: Callable[[], object]) -> None:
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

        try:
            get()
        except ResourceNotFoundError:
            return
        raise RequestError(
            f"Failed to create {noun} {name}: one of this name exists and is not the session's to "
            f"use or delete; choose another name"
        )


def share_exists(connection: Connection, share: str) -> bool:
    """Ask whether a file share exists.

    Args:
        connection: The connection whose storage account is asked.
        share: The share's name.

    Raises:
        RequestError: The service refused, for one because the account's key is wrong.
    """
    with explained(f"look for file share {share}"):
        return bool(connection.files.exists(share))
