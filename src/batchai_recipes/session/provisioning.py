"""Making what a session needs, one thing at a time, each with its undoing arranged before it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from attrs import evolve

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.connection import Connection
from batchai_recipes.errors import RequestError, StagingError
from batchai_recipes.outage import Outage
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.session.blueprint import Blueprint
from batchai_recipes.session.cluster_jobs import ClusterJobs
from batchai_recipes.session.cluster_state import wait_until_ready
from batchai_recipes.session.condition import only_new, unless_changed
from batchai_recipes.session.departure import Departure
from batchai_recipes.session.joint_in_workspace import JointInWorkspace
from batchai_recipes.session.joint_things import JointFileShare, JointResourceGroup
from batchai_recipes.session.joint_use import Joint, JointUse, Standing
from batchai_recipes.session.joint_workspace import JointWorkspace
from batchai_recipes.session.journal import Journal, is_gone
from batchai_recipes.session.lease import LEASE
from batchai_recipes.session.made import Made
from batchai_recipes.session.run_folder import RunFolder
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.session_plan import body_of
from batchai_recipes.session.undo import UndoStack
from batchai_recipes.settings import default_state_dir
from batchai_recipes.staging.file_share_staging import FileShareStaging
from batchai_recipes.staging.staged_manifest import StagedManifest
from batchai_recipes.staging.upload import upload
from batchai_recipes.tracing import span

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import JobCreateParameters, WorkspaceCreateParameters


class Provisioning:
    """Makes a session's resources through the Azure clients.

    Args:
        connection: Where to make them.
        blueprint: Their names and the parameters of the requests.
        undo: Where to arrange their deletion.
        journal: Where to write down what is about to be made.
        folder: Told, line by line, what happens, and what is sent.
        clock: The service's clock; told by its answers.
        pacing: How often to look while waiting.
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
        pacing: Pacing,
        use_existing: bool = False,
    ) -> None:
        self.connection = connection
        self.blueprint = blueprint
        self.cluster_jobs = ClusterJobs(connection, blueprint)
        self._names = blueprint.names
        self._undo = undo
        self._journal = journal
        self._folder = folder
        self._report = folder.report
        self._clock = clock
        self._pacing = pacing
        self._departure = Departure(blueprint.session, connection, clock, pacing)
        self._all_made: list[Made] = []
        self._surely_made: set[Made] = set()
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
        """Make the resource group, or use the one that is there."""
        name = self._names.resource_group
        made = Made("resource group", (name,))

        def parameters() -> dict[str, Any]:
            sent = self.blueprint.resource_group()
            self._record(made, sent)
            return sent

        group = JointResourceGroup(self.connection, name, self._clock, parameters=parameters)
        with _creating(made):
            self._begin_use(made, self._use(group))

    def _begin_use(
        self, made: Made, use: JointUse, *, may_exist: bool = True, in_turn: bool = False
    ) -> Standing:
        """Make something or use it, with others; what is not any session's is not deleted."""
        from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415 - on first use

        self._journal.about_to_make(made)
        self.arrange_deletion(made)
        try:
            standing = use.begin(self._clock.now() + LEASE, join=may_exist, in_turn=in_turn)
        except ResourceExistsError:
            self._leave(made)
            raise
        if standing == "not ours":
            self._leave(made)
            if not may_exist:
                raise _exists(made)
        self._report(f"Created {made}" if standing == "made" else f"Using {made}")
        return standing

    def _use(self, thing: Joint) -> JointUse:
        return JointUse(thing, self.blueprint.session, self._clock, self._pacing, self._report)

    def create_workspace(self) -> None:
        """Make the workspace, or use the one that is there."""
        made = Made("workspace", self._names.workspace_place)

        def parameters() -> "WorkspaceCreateParameters":
            sent = self.blueprint.workspace()
            self._record(made, sent)
            return sent

        self._make_or_join(made, evolve(self._workspace, parameters=parameters))

    @property
    def _workspace(self) -> JointWorkspace:
        return self._departure.workspace(self._names.workspace_place)

    def stage(self, staging: FileShareStaging) -> StagedManifest:
        """Make the share, or use the one that is there, and upload.

        Args:
            staging: What to stage.

        Returns:
            What is on the share then.
        """
        with span("stage", file_share=staging.share):
            return self._stage(staging)

    def _stage(self, staging: FileShareStaging) -> StagedManifest:
        made = Made("file share", (staging.share,))
        share = JointFileShare(self.connection, staging.share, self.blueprint.session)
        use = self._use(share)
        # Another session that stages the same files would find, and leave, them half written.
        with _creating(made):
            standing = self._begin_use(made, use, in_turn=True)
        manifest = upload(
            self.connection,
            staging,
            self._report,
            owner=self.blueprint.session,
            is_gone=partial(is_gone, self.connection.journals),
        )
        if standing != "not ours":
            with explained(f"let others stage to {made}", StagingError):
                use.end_turn()
        return manifest

    def use_share(self, share: str) -> None:
        """Use a share that sessions have made, so that none of them deletes it meanwhile.

        Args:
            share: The share's name.
        """
        made = Made("file share", (share,))
        use = self._use(JointFileShare(self.connection, share, self.blueprint.session))
        self._journal.about_to_make(made)
        self.arrange_deletion(made)
        with explained(f"use {made}"):
            if use.begin(self._clock.now() + LEASE, make=False) == "not ours":
                self._leave(made)

    def create_cluster(self, cluster: ClusterBuilder) -> bool:
        """Make a cluster, or use the one that is there; its nodes come later.

        Args:
            cluster: The cluster.

        Returns:
            Whether it was made now.
        """
        place = self._names.cluster_place(cluster.name)
        made = Made("cluster", place)

        def create() -> None:
            sent = self.blueprint.cluster(cluster)
            self._record(made, sent)
            clusters = self.connection.batchai.clusters
            clusters.begin_create(*place, sent, raw_request_hook=only_new).result()

        return self._make_or_join(made, JointInWorkspace(made, "cluster", self._workspace, create))

    def wait_for_cluster(self, name: str, timeout: float | None) -> None:
        """Wait until a cluster's nodes can take jobs.

        Args:
            name: The cluster's name.
            timeout: How long to wait at most, in seconds; None for as long as it takes.
        """
        outage = Outage(f"cluster {name}", self._pacing, self._report)
        look = partial(outage.through, partial(self.cluster_jobs.cluster, name))
        with span("wait for cluster", cluster=name):
            wait_until_ready(name, look, report=self._report, pacing=self._pacing, timeout=timeout)

    def create_experiment(self) -> None:
        """Make the experiment, or use the one that is there."""
        place = self._names.experiment_place
        made = Made("experiment", place)

        def create() -> None:
            self._record(made, None)
            experiments = self.connection.batchai.experiments
            experiments.begin_create(*place, raw_request_hook=only_new).result()

        self._make_or_join(made, JointInWorkspace(made, "experiment", self._workspace, create))

    def create_job(self, name: str, parameters: "JobCreateParameters") -> None:
        """Make a job; one that exists is never used.

        Args:
            name: The job's name.
            parameters: What to send.
        """
        place = self._names.job_place(name)
        made = Made("job", place)
        jobs = self.connection.batchai.jobs
        with _creating(made):
            if _is_there(lambda: jobs.get(*place)):  # for services that know no conditions
                raise _job_exists(made)
            self._record(made, parameters)
            self._make(
                made,
                lambda: jobs.begin_create(*place, parameters, raw_request_hook=only_new).result(),
            )
        self._report(f"Created {made}")

    def _make_or_join(self, made: Made, thing: Joint) -> bool:
        """Make something, or use it where that was asked for; tell whether it was made now."""
        with _creating(made):
            standing = self._begin_use(made, self._use(thing), may_exist=self._use_existing)
        if standing == "made":
            self._surely_made.add(made)
        return standing == "made"

    def _record(self, made: Made, parameters: object) -> None:
        path = self.blueprint.path(made.kind, made.names)
        self._folder.request(str(made), path, body_of(parameters))

    def _make(self, made: Made, create: Callable[[], object]) -> None:
        """Make something with its deletion arranged, unless it is there.

        Arranged before, since nobody can tell after an interrupted request whether it was made.
        """
        from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415 - on first use

        self._journal.about_to_make(made)
        self.arrange_deletion(made)
        try:
            is_new = unless_changed(create, {HTTPStatus.PRECONDITION_FAILED})
        except ResourceExistsError:
            self._leave(made)
            raise
        if not is_new:
            self._leave(made)
            raise _job_exists(made)

    def retire_cluster(self, name: str) -> None:
        """Delete a cluster that the session made before the session ends.

        Args:
            name: The cluster's name.

        Raises:
            RequestError: The service refused or did not answer.
        """
        self._delete(Made("cluster", self._names.cluster_place(name)), lambda: None)
        self.forget_cluster(name)

    def forget_cluster(self, name: str) -> None:
        """Delete a cluster no more that is gone.

        Args:
            name: The cluster's name.
        """
        made = Made("cluster", self._names.cluster_place(name))
        with explained(f"forget {made}"):
            self._departure.clear(made)
        self._leave(made)

    def has_made(self, cluster: str) -> bool:
        """Tell whether a cluster is the session's own, to delete.

        Args:
            cluster: The cluster's name.
        """
        return Made("cluster", self._names.cluster_place(cluster)) in self._journal.made

    def arrange_deletion(self, made: Made) -> None:
        """See to it that something is deleted when the session ends.

        Args:
            made: What the journal names already.
        """
        self._all_made.append(made)
        tell = partial(self._undo.tell, f"Deleting {made}")
        # Of what others may use, it is not known yet whether it will be deleted.
        self._undo.push(str(made), lambda: self._delete(made, tell), silent=made.kind != "job")

    def _delete(self, made: Made, before: Callable[[], object]) -> None:
        other = self._departure.delete(
            made, self._all_made, surely=made in self._surely_made, before=before
        )
        if other is None or other.takes_over:
            self._journal.gone(made)
        if other:
            later = "" if other.takes_over else f"; later, delete with: {self.reap_command}"
            self._report(f"Left {made}: {other}{later}")

    def _leave(self, made: Made) -> None:
        self._undo.drop(str(made))
        self._journal.gone(made)


@contextmanager
def _creating(made: Made) -> Iterator[None]:
    with span(f"create {made.kind}", **made.attributes), explained(f"create {made}"):
        yield


def _exists(made: Made) -> RequestError:
    return RequestError(
        f"Failed to create {made}: one of this name exists and is not the session's to use or "
        f"delete; choose another name, or use it as it is: use_existing=True, or --use-cluster of "
        f"batchai-recipes run"
    )


def _job_exists(made: Made) -> RequestError:
    return RequestError(
        f"Failed to create {made}: the experiment has one of this name; choose another name"
    )


def _is_there(get: Callable[[], object]) -> bool:
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - loaded on first use

    try:
        get()
    except ResourceNotFoundError:
        return False
    return True
