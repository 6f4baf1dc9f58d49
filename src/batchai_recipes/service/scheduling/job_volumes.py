"""The volumes of jobs: there before a job starts, and copied back before it has ended."""

import json
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve, frozen

from batchai_recipes.service.batchai_error import BatchAIError
from batchai_recipes.service.engines.engine import Engine, EngineError
from batchai_recipes.service.scheduling.job_outcome import Outcome
from batchai_recipes.service.scheduling.job_records import JobRecord
from batchai_recipes.service.scheduling.ledger import Ledger
from batchai_recipes.service.scheduling.remote_volume import RemoteVolume
from batchai_recipes.service.scheduling.volume import VolumeError
from batchai_recipes.service.scheduling.volume_copies import VolumeCopies
from batchai_recipes.service.scheduling.volume_folders import VolumeFolders
from batchai_recipes.service.scheduling.volumes import Volumes

_CLUSTERS_REMEMBERED = 64
_CLUSTER = "SELECT uid, properties, secrets FROM clusters JOIN resources USING (key) WHERE key = ?"


@frozen
class _Remote:
    """The copies that a job uses.

    Args:
        own: Those of its own volumes.
        all: With those of its cluster.
    """

    own: tuple[RemoteVolume, ...]
    all: tuple[RemoteVolume, ...]


class JobVolumes:
    """Mounts the volumes of jobs, and sees that what jobs wrote is copied back.

    Args:
        ledger: The records.
        engine: Where jobs run.
        volumes: Finds the volumes.
        folder: Where copies of remote volumes lie; None where there are none.
    """

    def __init__(
        self, ledger: Ledger, engine: Engine, volumes: Volumes, folder: Path | None
    ) -> None:
        self._ledger = ledger
        self._engine = engine
        self._volumes = volumes
        self._folder = folder
        self._remote: dict[str, _Remote] = {}
        self._of_clusters: dict[str, tuple[RemoteVolume, ...]] = {}

    def are_mounted(self, job: JobRecord, log: str) -> bool:
        """Mount a job's own volumes, copy in what is remote, and see whether that is over.

        Args:
            job: The job.
            log: Its execution log, which is told what is copied.

        Returns:
            Whether its processes find everything.

        Raises:
            VolumeError: A volume cannot be mounted.
            EngineError: The folders cannot be made, or the copying cannot be started.
        """
        resolved = self._volumes.resolve(
            job.properties.get("mountVolumes"), job.account_keys, job.uid
        )
        self._engine.prepare_job(job.uid, job.node_ids, resolved.mounts)
        self._remote[job.uid] = _Remote(
            resolved.remote, (*self._of_cluster(job.cluster_key), *resolved.remote)
        )
        copies = self._copies(job, log, resolved.notes)
        if copies is None:
            return True
        if not copies.are_in():
            return False
        copies.follow()
        return True

    def settled(self, job: JobRecord, outcome: Outcome, *, ran: bool) -> Outcome | None:
        """Copy back what a job wrote that has ended, and see whether that is over.

        Args:
            job: The job, nothing of which runs any more.
            outcome: How it ended.
            ran: Whether any process of it was ever launched.

        Returns:
            How it ended indeed, a failure where not all could be copied; None while copying.
        """
        copies = self._copies(job)
        if copies is not None:
            try:
                if not copies.stop_copying_in() or (ran and not copies.are_back()):
                    return None
            except (VolumeError, EngineError) as error:
                self._remote.pop(job.uid, None)
                return _with_failure(outcome, error)
            if self._folder is not None:
                folders = VolumeFolders(self._ledger, self._folder)
                again = outcome.state == "queued"
                discard = folders.discard if again else folders.discard_data
                discard(self._remote_of(job).own)
        self._remote.pop(job.uid, None)
        return outcome

    def _copies(
        self, job: JobRecord, log: str = "", notes: tuple[str, ...] = ()
    ) -> VolumeCopies | None:
        if self._folder is None:
            return None
        remote = self._remote_of(job)
        if not remote.all:
            return None
        return VolumeCopies(
            self._engine,
            self._folder,
            owner="job",
            owner_id=job.uid,
            node_id=job.node_ids[0],
            volumes=remote.all,
            log=log,
            notes=notes,
        )

    def _remote_of(self, job: JobRecord) -> _Remote:
        known = self._remote.get(job.uid)
        if known is None:  # an earlier service mounted them
            own = self._volumes.remote(
                job.properties.get("mountVolumes"), job.account_keys, job.uid
            )
            known = _Remote(own, (*self._of_cluster(job.cluster_key), *own))
            self._remote[job.uid] = known
        return known

    def _of_cluster(self, key: str) -> tuple[RemoteVolume, ...]:
        if self._folder is None:
            return ()
        with self._ledger.read() as records:
            row = records.execute(_CLUSTER, (key,)).fetchone()
        if row is None:
            return ()
        uid = str(row["uid"])
        if uid not in self._of_clusters:
            while len(self._of_clusters) >= _CLUSTERS_REMEMBERED:
                del self._of_clusters[next(iter(self._of_clusters))]
            properties: Mapping[str, Mapping[str, object]] = json.loads(row["properties"])
            keys = json.loads(row["secrets"]).get("accountKeys") or {}
            setup = properties.get("nodeSetup") or {}
            volumes = setup.get("mountVolumes")
            self._of_clusters[uid] = (
                self._volumes.remote(volumes, keys, uid) if isinstance(volumes, dict) else ()
            )
        return self._of_clusters[uid]


def _with_failure(outcome: Outcome, error: VolumeError | EngineError) -> Outcome:
    code = error.code if isinstance(error, VolumeError) else "CopyBackFailed"
    if outcome.state == "succeeded":
        return evolve(outcome, state="failed", error=BatchAIError(code, str(error)))
    if outcome.error is None:
        return outcome
    told = {**outcome.error.details, "copyBack": str(error)}
    return evolve(outcome, error=evolve(outcome.error, details=told))
