"""The volumes of nodes: there before a node is idle, with what its setup task wrote copied back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from batchai_recipes.service.engines.engine import Engine, Machine
from batchai_recipes.service.scheduling.remote_volume import RemoteVolume
from batchai_recipes.service.scheduling.volume import VolumeError
from batchai_recipes.service.scheduling.volume_copies import VolumeCopies
from batchai_recipes.service.scheduling.volumes import Volumes


class NodeVolumes:
    """Mounts the volumes of nodes.

    Args:
        engine: Where the nodes are.
        volumes: Finds the volumes.
        folder: Where copies of remote volumes lie; None where there are none.
    """

    def __init__(self, engine: Engine, volumes: Volumes, folder: Path | None) -> None:
        self._engine = engine
        self._volumes = volumes
        self._folder = folder

    def are_mounted(
        self,
        node_id: str,
        cluster_uid: str,
        mount_volumes: Mapping[str, Any] | None,
        account_keys: Mapping[str, str],
        *,
        gpu_count: int = 0,
        machine: Machine | None = None,
    ) -> bool:
        """Prepare a node with its volumes, copy in what is remote, and see whether that is over.

        The nodes of a cluster share one copy, so that each sees what the others write.

        Args:
            node_id: The node.
            cluster_uid: The uid of its cluster.
            mount_volumes: The cluster's ``mountVolumes``.
            account_keys: The account keys given with them, by relative mount path.
            gpu_count: How many GPUs its VM size has.
            machine: What it asks of the machine that it is made on.

        Raises:
            VolumeError: A volume cannot be mounted.
            EngineError: The node cannot be made, or the copying cannot be started.
        """
        resolved = self._volumes.resolve(mount_volumes, account_keys, cluster_uid)
        if not self._engine.prepare_node(node_id, resolved.mounts, gpu_count, machine):
            return False
        missing = [volume for volume in resolved.remote if not volume.is_ready]
        return not missing or self._copies(node_id, missing).are_in()

    def are_back(
        self,
        node_id: str,
        cluster_uid: str,
        mount_volumes: Mapping[str, Any] | None,
        account_keys: Mapping[str, str],
    ) -> bool:
        """Copy back what a node's setup task wrote, and see whether that is over.

        Args:
            node_id: The node.
            cluster_uid: The uid of its cluster.
            mount_volumes: The cluster's ``mountVolumes``.
            account_keys: The account keys given with them, by relative mount path.

        Raises:
            VolumeError: It failed.
            EngineError: It cannot be started.
        """
        remote = self._volumes.remote(mount_volumes, account_keys, cluster_uid)
        return not remote or self._copies(node_id, remote).are_back()

    def _copies(self, node_id: str, volumes: Sequence[RemoteVolume]) -> VolumeCopies:
        if self._folder is None:
            raise VolumeError("ShareMountFailed", "This service copies no remote volumes")
        return VolumeCopies(
            self._engine,
            self._folder,
            owner="node",
            owner_id=node_id,
            node_id=node_id,
            volumes=volumes,
        )
