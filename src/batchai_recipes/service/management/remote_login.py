"""Where one can log in to a node."""

from typing import Final
from urllib.parse import urlsplit

from batchai_recipes.service.management.plane import ManagementPlane

_SSH_PORT: Final = 22


def remote_login(plane: ManagementPlane, node_id: str) -> dict[str, str | int]:
    """Return the login details of a node.

    All nodes are this machine: whether an SSH server answers there, and to whom, is its owner's
    affair.

    Args:
        plane: Tells the address of this machine.
        node_id: The node.
    """
    address = urlsplit(plane.base).hostname or ""
    return {"nodeId": node_id, "ipAddress": address, "port": _SSH_PORT}
