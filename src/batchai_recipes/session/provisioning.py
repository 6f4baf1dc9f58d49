"""Making what a session needs, one thing at a time, each with its undoing arranged before it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.connection import Connection
from batchai_recipes.errors import RequestError
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.session.blueprint import Blueprint
from batchai_recipes.session.cluster_state import wait_until_ready
from batchai_recipes.session.journal import Journal
from batchai_recipes.session.lease import SHARE_METADATA
from batchai_recipes.session.made import Made
from batchai_recipes.session.other_users import other_user
from batchai_recipes.session.run_folder import RunFolder
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.session_plan import body_of
from batchai_recipes.session.undo import UndoStack
from batchai_recipes.settings import default_state_dir
from batchai_recipes.staging.file_share_staging import FileShareStaging
from batchai_recipes.staging.file_shares import shares_of
from batchai_recipes.staging.staged_manifest import StagedManifest
from batchai_recipes.staging.upload import create_share, upload
from batchai_recipes.tracing import span

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Cluster, Job, JobCreateParameters

ParametersT = TypeVar("ParametersT")

_ENDED: Final = frozenset({"succeeded", "failed"})


class Provisioning:
    """Makes a session's resources through the Azure clients.

    Args:
        connection: Where to make them.
        blueprint: Their names and the parameters of the requests.
        undo: Where to arrange their deletion.
        journal: Where to write down what is about to be made.
        folder: Told, line by line, what happens, and what is sent.
        clock: The service's clock; told by its answers.
        use_existing: Whether a workspace, cluster or experiment of the same name is used as it is.
    """

    def __init__(
        self,
        connection: Connection,
        blueprint: Blueprint,
        undo: UndoStack,
        journal: Journal,
        folder: RunFolder,
        *,
        clock: ServiceClock,
        use_existing: bool = False,
    ) -> None:
        self.connection = connection
        self.blueprint = blueprint
        self._names = blueprint.names
        self._undo = undo
        self._journal = journal
        self._folder = folder
        self._report = folder.report
        self._clock = clock
        self._all_made: list[Made] = []
        self._use_existing = use_existing

    @property
    def reap_command(self) -> str:
        """The command that deletes what the session leaves."""
        command = f"batchai-recipes reap {self.blueprint.session}"
        state_dir = self.connection.state_dir
        if state_dir and state_dir != default_state_dir().absolute():
            command += f" --state-dir {state_dir}"
        return command

    def create_resource_group(self) -> None:
        """Make the resource group, unless it exists; one that exists is not deleted later."""
        name = self._names.resource_group
        groups = self.connection.resources.resource_groups
        with _creating(Made("resource group", (name,))):
            if groups.check_existence(name, raw_response_hook=self._clock.note):
                self._report(f"Using resource group {name}")
                return
            made, parameters = Made("resource group", (name,)), self.blueprint.resource_group()
            self._record(made, parameters)
            with self._making(made):
                groups.create_or_update(name, parameters)
        self._report(f"Created resource group {name}")

    def create_workspace(self) -> None:
        """Make the workspace, or use the one that is there."""
        place = self._names.workspace_place
        workspaces = self.connection.batchai.workspaces
        self._create(
            Made("workspace", place),
            lambda: workspaces.get(*place),
            self.blueprint.workspace,
            lambda parameters: workspaces.begin_create(*place, parameters).result(),
        )

    def stage(self, staging: FileShareStaging) -> StagedManifest:
        """Make the share, unless it exists, and upload; one that exists is not deleted later.

        Args:
            staging: What to stage.
        """
        with span("stage", file_share=staging.share):
            return self._stage(staging)

    def _stage(self, staging: FileShareStaging) -> StagedManifest:
        share = staging.share
        if share_exists(self.connection, share):
            self._report(f"Using file share {share}")
        else:
            made = Made("file share", (share,))
            with self._making(made):
                metadata = {SHARE_METADATA: self.blueprint.session}
                is_new = create_share(self.connection, share, metadata)
            if not is_new:
                self._leave(made)  # somebody else made it in between
            self._report(f"Created file share {share}")
        return upload(self.connection, staging, self._report)

    def create_cluster(self, cluster: ClusterBuilder) -> bool:
        """Make a cluster, or use the one that is there; its nodes come later.

        Args:
            cluster: The cluster.

        Returns:
            Whether it was made now.
        """
        place = self._names.cluster_place(cluster.name)
        clusters = self.connection.batchai.clusters
        return self._create(
            Made("cluster", place),
            lambda: clusters.get(*place),
            lambda: self.blueprint.cluster(cluster),
            lambda parameters: clusters.begin_create(*place, parameters).result(),
        )

    def cluster(self, name: str) -> "Cluster":
        """Ask the service for a cluster.

        Args:
            name: The cluster's name.
        """
        with explained(f"get cluster {name}"):
            return self.connection.batchai.clusters.get(*self._names.cluster_place(name))

    def wait_for_cluster(self, name: str, pacing: Pacing, timeout: float | None) -> None:
        """Wait until a cluster's nodes can take jobs.

        Args:
            name: The cluster's name.
            pacing: How often to look.
            timeout: How long to wait at most, in seconds; None for as long as it takes.
        """
        look = lambda: self.cluster(name)  # noqa: E731 - reads as the argument that it is
        with span("wait for cluster", cluster=name):
            wait_until_ready(name, look, report=self._report, pacing=pacing, timeout=timeout)

    def create_experiment(self) -> None:
        """Make the experiment, or use the one that is there."""
        place = self._names.experiment_place
        experiments = self.connection.batchai.experiments
        self._create(
            Made("experiment", place),
            lambda: experiments.get(*place),
            lambda: None,
            lambda _: experiments.begin_create(*place).result(),
        )

    def create_job(self, name: str, parameters: "JobCreateParameters") -> None:
        """Make a job; one that exists is never used.

        Args:
            name: The job's name.
            parameters: What to send.
        """
        place = self._names.job_place(name)
        jobs = self.connection.batchai.jobs
        self._create(
            Made("job", place),
            lambda: jobs.get(*place),
            lambda: parameters,
            lambda job: jobs.begin_create(*place, job).result(),
        )

    def _create(
        self,
        made: Made,
        get: Callable[[], object],
        parameters: Callable[[], ParametersT],
        create: Callable[[ParametersT], object],
    ) -> bool:
        """Make something unless it exists; tell whether it was made now."""
        with _creating(made):
            if _exists(get):
                if not self._use_existing or made.kind == "job":
                    raise RequestError(
                        f"Failed to create {made}: one of this name exists and is not the "
                        f"session's to use or delete; choose another name"
                        + ("" if made.kind == "job" else ", or say use_existing=True")
                    )
                self._report(f"Using {made}")
                return False
            sent = parameters()
            self._record(made, sent)
            with self._making(made):
                create(sent)
        self._report(f"Created {made}")
        return True

    def _record(self, made: Made, parameters: object) -> None:
        path = self.blueprint.path(made.kind, made.names)
        self._folder.request(str(made), path, body_of(parameters))

    @contextmanager
    def _making(self, made: Made) -> Iterator[None]:
        """Arrange the deletion of something, then let the block make it.

        Before, since nobody can tell after an interrupted request whether it was made.
        """
        from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415 - on first use

        self._journal.about_to_make(made)
        self.arrange_deletion(made)
        try:
            yield
        except ResourceExistsError:
            self._leave(made)  # somebody else made it in between
            raise

    def unended_jobs(self, cluster: str) -> list[str]:
        """Return the names of the session's experiment's jobs that wait for or run on a cluster.

        Args:
            cluster: The cluster's name.
        """
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

        wanted = self.blueprint.cluster_id(cluster).casefold()
        with explained(f"list the jobs on cluster {cluster}"):
            pages = self.connection.batchai.jobs.list_by_experiment(*self._names.experiment_place)
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

    def terminate_jobs(self, cluster: str) -> None:
        """Terminate the session's jobs on a cluster.

        Args:
            cluster: The cluster's name.
        """
        for name in self.unended_jobs(cluster):
            with explained(f"terminate job {name}"):
                place = self._names.job_place(name)
                self.connection.batchai.jobs.begin_terminate(*place).wait()

    def retire_cluster(self, name: str) -> bool:
        """Delete a cluster before the session ends, if the session made it.

        Args:
            name: The cluster's name.

        Returns:
            Whether the session had made it.
        """
        made = Made("cluster", self._names.cluster_place(name))
        if made not in self._journal.made:
            return False
        made.delete(self.connection)
        self._leave(made)
        return True

    def arrange_deletion(self, made: Made) -> None:
        """See to it that something is deleted when the session ends.

        Args:
            made: What the journal names already.
        """
        self._all_made.append(made)
        self._undo.push(str(made), lambda: self._delete(made))

    def _delete(self, made: Made) -> None:
        session, own = self.blueprint.session, self._all_made
        user = other_user(made, session, own, self.connection, self._clock)
        if user:
            self._report(f"Left {made}: {user} uses it; later, delete with: {self.reap_command}")
            return
        made.delete(self.connection)
        self._journal.gone(made)

    def _leave(self, made: Made) -> None:
        self._undo.drop(str(made))
        self._journal.gone(made)


@contextmanager
def _creating(made: Made) -> Iterator[None]:
    with span(f"create {made.kind}", **made.attributes), explained(f"create {made}"):
        yield


def _exists(get: Callable[[], object]) -> bool:
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

    try:
        get()
    except ResourceNotFoundError:
        return False
    return True


def share_exists(connection: Connection, share: str) -> bool:
    """Ask whether a file share exists.

    Args:
        connection: The connection whose storage account is asked.
        share: The share's name.

    Raises:
        RequestError: The service refused, for one because the account's key is wrong.
    """
    with explained(f"look for file share {share}"):
        return shares_of(connection).exists(share)
