"""What the tags of a workspace say of who uses it and what is in it.

Batch AI gives tags to workspaces only. So labels of clusters and experiments are among the tags of
their workspace, as ``batchai_recipes_KIND.NAME.LABEL``.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

from batchai_recipes.session.joint_use import Use, uses
from batchai_recipes.session.lease import Lease

InnerKind: TypeAlias = Literal["cluster", "experiment"]
"""What of a workspace sessions may use jointly."""

DELETER: Final = "batchai_recipes_deleter"
"""The label that names the session that is deleting something in a workspace."""

_INNER_KINDS: Final[tuple[InnerKind, ...]] = ("experiment", "cluster")


def start_of(kind: InnerKind, name: str) -> str:
    """Return what the tags begin with that are labels of something in a workspace.

    Args:
        kind: What it is.
        name: Its name, which has no dot.
    """
    return f"batchai_recipes_{kind}.{name.casefold()}."


def inner_labels(kind: InnerKind, name: str, tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return the labels of something in a workspace.

    Args:
        kind: What it is.
        name: Its name.
        tags: The workspace's tags.

    Example:
        >>> tags = {"batchai_recipes_cluster.c.batchai_recipes_user_s": "s kept", "mine": "yes"}
        >>> inner_labels("cluster", "C", tags)
        {'batchai_recipes_user_s': 's kept'}
    """
    start = start_of(kind, name)
    return {
        tag[len(start) :]: value
        for tag, value in (tags or {}).items()
        if tag.casefold().startswith(start)
    }


def inner_uses(tags: Mapping[str, str] | None) -> Iterator[tuple[InnerKind, str, Use]]:
    """Read who uses what in a workspace, experiments before clusters.

    Args:
        tags: The workspace's tags.
    """
    for kind in _INNER_KINDS:
        start = f"batchai_recipes_{kind}."
        names = [tag[len(start) :] for tag in tags or {} if tag.casefold().startswith(start)]
        for name in dict.fromkeys(one.partition(".")[0].casefold() for one in names):
            for use in uses(inner_labels(kind, name, tags)):
                yield kind, name, use


def workspace_uses(tags: Mapping[str, str] | None) -> list[Use]:
    """Read who uses a workspace that sessions have made; a lease on it is a use of it.

    Args:
        tags: The workspace's tags.
    """
    lease = Lease.from_tags(tags)
    entries = {use.session: use for use in uses(tags)}
    if lease:
        entry = entries.get(lease.session)
        ends = [lease.expires, entry.until if entry else lease.expires]
        last = None if None in ends else max(end for end in ends if end)
        entries[lease.session] = Use(lease.session, last)
    return list(entries.values())
