"""How to use a Ray cluster."""

from typing import Literal

from attrs import frozen

Strategy = Literal["STRICT_SPREAD", "SPREAD", "PACK"]
"""How the nodes of a cluster lie on Ray's machines: each on one of its own, apart where that is
possible, or together where that is possible."""


@frozen
class RayOptions:
    """How to use a Ray cluster.

    Args:
        address: The head's ``HOST:PORT``, or ``auto`` for the cluster that this machine is in.
        strategy: How the nodes of a cluster lie on its machines.
        node_folder: The folder on each machine in which nodes keep what they need.
        patience_seconds: How long a node may wait for a machine.
        cache_bytes: How much of shares that a machine does not see it keeps between jobs.
        silence_seconds: How long a node that Ray takes for alive may be silent.
    """

    address: str = "auto"
    strategy: Strategy = "STRICT_SPREAD"
    node_folder: str = "/var/tmp/batchai-recipes"  # noqa: S108  # private folders are made in it
    patience_seconds: float = 600.0
    cache_bytes: int = 20 << 30
    silence_seconds: float = 60.0
