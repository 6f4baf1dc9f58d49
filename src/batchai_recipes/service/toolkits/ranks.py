"""Which node runs which of a job's processes of one kind."""

from attrs import frozen


@frozen
class Rank:
    """One of several processes that work together.

    Args:
        rank: Its number among all of them.
        node_index: The node it runs on, counted from the master, which is 0.
        local_rank: Its number among those on its node.
        local_size: How many there are on its node.
    """

    rank: int
    node_index: int
    local_rank: int
    local_size: int


def spread(count: int, node_count: int) -> tuple[Rank, ...]:
    """Deal processes out to nodes: as evenly as can be, neighbours side by side.

    Args:
        count: How many processes.
        node_count: How many nodes.

    Example:
        >>> [(one.rank, one.node_index, one.local_rank) for one in spread(3, 2)]
        [(0, 0, 0), (1, 0, 1), (2, 1, 0)]
    """
    each, more = divmod(count, node_count)
    sizes = [each + (node < more) for node in range(node_count)]
    places = [(node, local) for node, size in enumerate(sizes) for local in range(size)]
    return tuple(Rank(rank, node, local, sizes[node]) for rank, (node, local) in enumerate(places))
