"""The volumes of a node, as its machine has them."""

from pathlib import Path

from batchai_recipes.service.engines.engine import Mount, MountError
from batchai_recipes.service.engines.ray.fetching import FetchError
from batchai_recipes.service.engines.ray.messages import Home
from batchai_recipes.service.engines.ray.node_shares import NodeShares
from batchai_recipes.service.engines.ray.share_copies import ShareSource


class NodeVolumes:
    """Finds volumes on a node's machine, and has copies of the shares that it does not see.

    Args:
        node_id: The node.
        address: Its address, for messages.
        home: Says where the service's state directory is.
        shares: Has the copies.

    Attributes:
        sees_state: Whether the machine sees the state directory.
    """

    def __init__(self, node_id: str, address: str, home: Home, shares: NodeShares) -> None:
        self._node_id = node_id
        self._address = address
        self._state = home.state
        self._shares = shares
        self.sees_state = _sees_state(home)

    def here(
        self, mounts: tuple[Mount, ...], sources: tuple[ShareSource, ...]
    ) -> tuple[Mount, ...]:
        """Return volumes with the folders that they have on this machine.

        Args:
            mounts: The volumes, with their folders on the service's machine.
            sources: Where to get those that are shares.

        Raises:
            MountError: One is not there, and cannot be.
        """
        if not self.sees_state:
            try:
                mounts = self._shares.mount(mounts, sources)
            except (FetchError, OSError) as error:
                raise MountError(
                    f"The node {self._node_id} cannot mount a share: {error}"
                ) from error
        for mount in mounts:
            of_service = mount.source.is_relative_to(self._state)
            if of_service and not self.sees_state:
                problem = (
                    "its machine does not see the service's state directory, without which only "
                    "file shares of the service can be mounted: copy the data to one, or mount "
                    f"{self._state} on all machines of Ray"
                )
            elif not mount.source.is_dir():
                problem = f"its machine has no {mount.source}: make it on all machines of Ray"
            else:
                continue
            raise MountError(
                f"The volume for {mount.relative_path!r} cannot be mounted on the node "
                f"{self._node_id} at {self._address}: {problem}"
            )
        return mounts


def _sees_state(home: Home) -> bool:
    try:
        return home.service_id in Path(home.probe).read_text(encoding="utf-8")
    except OSError:
        return False
