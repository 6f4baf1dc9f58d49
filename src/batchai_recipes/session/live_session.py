"""LiveSession: what there is of a session while it is entered, and its end."""

from collections.abc import Callable

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.connection import Connection
from batchai_recipes.pacing import Pacing
from batchai_recipes.session.blueprint import Blueprint
from batchai_recipes.session.clean_up_policy import CleanUpPolicy
from batchai_recipes.session.existing_cluster import check_mounts, mounts_of
from batchai_recipes.session.journal import Journal
from batchai_recipes.session.made import Made
from batchai_recipes.session.provisioning import Provisioning
from batchai_recipes.session.session_clusters import SessionClusters
from batchai_recipes.session.undo import UndoStack
from batchai_recipes.settings import default_state_dir
from batchai_recipes.staging.file_share_staging import FileShareStaging
from batchai_recipes.staging.staged_manifest import StagedManifest


class LiveSession:
    """Provisions in order, and deletes at the end what the policy does not keep.

    Args:
        connection: Where everything is.
        blueprint: The session's id and names, and the parameters of its requests.
        clusters: The clusters.
        journal: Where what is made is written down.
        report: Told, line by line, what happens.
        use_existing: Whether what exists under the same names is used as it is.
    """

    def __init__(
        self,
        connection: Connection,
        blueprint: Blueprint,
        clusters: SessionClusters,
        journal: Journal,
        report: Callable[[str], None],
        *,
        use_existing: bool,
    ) -> None:
        self.connection = connection
        self.blueprint = blueprint
        self.clusters = clusters
        self.report = report
        self.staged: StagedManifest | None = None
        self._journal = journal
        self._undo = UndoStack(report)
        self.provisioning = Provisioning(
            connection, blueprint, self._undo, journal, report, use_existing=use_existing
        )
        self.job_names: list[str] = []

    def provision(
        self, staging: FileShareStaging | None, pacing: Pacing, ready_timeout: float | None
    ) -> None:
        """Make everything but jobs.

        Args:
            staging: What to stage.
            pacing: How often to look at clusters.
            ready_timeout: How long to wait for each cluster, in seconds; None for ever.
        """
        self.provisioning.create_resource_group()
        self.provisioning.create_workspace()
        if staging:
            self.staged = self.provisioning.stage(staging)
        for cluster in self.clusters:
            if not self.provisioning.create_cluster(cluster):
                self._adopt(cluster)
        for cluster in self.clusters:
            self.provisioning.wait_for_cluster(cluster.name, pacing, ready_timeout)
        self.provisioning.create_experiment()

    def create_job(self, job: JobBuilder, cluster: ClusterBuilder) -> None:
        """Make a job.

        Args:
            job: The job.
            cluster: The cluster that it runs on.
        """
        self.provisioning.create_job(job.name, self.blueprint.job(job, cluster))
        self.job_names.append(job.name)

    def end(self, policy: CleanUpPolicy, *, succeeded: bool) -> tuple[Exception, ...]:
        """Delete what was made, newest first, less what the policy keeps.

        Args:
            policy: What to keep.
            succeeded: Whether the session's block ended without an exception.

        Returns:
            What the failed deletions raised.
        """
        kept = [one for one in self._journal.made if policy.keeps(one, succeeded=succeeded)]
        for made in kept:
            self._journal.keep(made)
            self._undo.drop(str(made))
        failures = self._undo.unwind()
        if kept:
            self.report(f"Kept {_listed(kept)}; delete with: {self._deletion()}")
        self._journal.close()
        return failures

    def _adopt(self, cluster: ClusterBuilder) -> None:
        there = mounts_of(self.provisioning.cluster(cluster.name), self.connection.storage.name)
        check_mounts(cluster, there)
        if not cluster.mounts:
            self.clusters.mounting(cluster.name, there)

    def _deletion(self) -> str:
        """Return the command that deletes what is kept."""
        command = f"batchai-recipes reap {self.blueprint.session}"
        state_dir = self.connection.state_dir
        if state_dir and state_dir != default_state_dir().absolute():
            command += f" --state-dir {state_dir}"
        return command


def _listed(kept: list[Made]) -> str:
    return ", ".join(map(str, kept))
