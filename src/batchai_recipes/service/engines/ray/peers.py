"""The nodes of a job, as each of them is told of the others."""

from collections.abc import Iterable

from attrs import frozen


@frozen
class Peer:
    """A node of a job.

    Args:
        node_id: The node.
        address: How other nodes reach it; nodes of one machine share it.
        interface: The network interface that has the address; empty where that is not known.
        network: The network that the address is in; empty where that is not known.
        slots: How many processes of MPI it shall have.
        devices: The GPUs that its processes see, as CUDA lists them; empty for none of its own.
    """

    node_id: str
    address: str
    interface: str = ""
    network: str = ""
    slots: int = 1
    devices: str = ""


def addresses_of(peers: Iterable[Peer]) -> list[str]:
    """Return the addresses of a job's machines, each once, in the order of its nodes.

    Args:
        peers: The nodes.
    """
    return list(dict.fromkeys(peer.address for peer in peers))


def at(address: str, peers: Iterable[Peer]) -> list[Peer]:
    """Return the nodes of one machine.

    Args:
        address: The machine's address.
        peers: The nodes.
    """
    return [peer for peer in peers if peer.address == address]


def host_file(peers: Iterable[Peer]) -> str:
    r"""Write Open MPI's list of hosts; nodes of one machine are one host.

    Args:
        peers: The nodes.

    Example:
        >>> host_file([Peer("a", "10.0.0.4"), Peer("b", "10.0.0.5"), Peer("c", "10.0.0.4")])
        '10.0.0.4 slots=2\n10.0.0.5 slots=1\n'
    """
    peers = list(peers)
    return "".join(
        f"{address} slots={sum(peer.slots for peer in at(address, peers))}\n"
        for address in addresses_of(peers)
    )
