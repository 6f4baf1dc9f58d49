"""What was asked of a session, as a value."""

from collections.abc import Sequence
from pathlib import Path

from attrs import field, frozen

from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.connection import Connection
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.profiles import configured
from batchai_recipes.seconds import checked_seconds
from batchai_recipes.session.clean_up_policy import CleanUpPolicy
from batchai_recipes.session.existing_cluster import own_shares
from batchai_recipes.session.session_clusters import SessionClusters
from batchai_recipes.session.session_names import SessionNames
from batchai_recipes.staging.file_share_staging import FileShareStaging


def _as_tuple(
    stagings: FileShareStaging | Sequence[FileShareStaging] | None,
) -> tuple[FileShareStaging, ...]:
    if isinstance(stagings, FileShareStaging):
        return (stagings,)
    _check_stagings(stagings or ())
    return tuple(stagings or ())


def _check_stagings(given: object) -> None:
    """Refuse what is none, where the caller checks no types."""
    several = given if isinstance(given, Sequence) and not isinstance(given, str) else (given,)
    for one in several:
        if not isinstance(one, FileShareStaging):
            raise ConfigurationError(
                f"A session stages what FileShareStaging('myshare')... says, not {one!r}"
            )


def _as_timeout(seconds: float | None) -> float | None:
    return checked_seconds("ready_timeout", seconds, without="to wait for ever")


@frozen
class SessionOptions:
    """What was asked of a session, checked.

    Args:
        id: The session's id.
        names: The names of what it makes.
        clusters: Its clusters.
        policy: What to delete when it ends.
        limits: How long clusters may stay.
        stagings: What to stage, each to a share of its own.
        location: The Azure location; None for the connection's.
        use_existing: Whether what exists under the same names is used as it is.
        ready_timeout: How long to wait for each cluster, in seconds; None for ever.
        run_folder: The run folder; None for one of its own beside the journals.

    Raises:
        ConfigurationError: Something else than a staging was given for one, or the time is none.
    """

    id: str
    names: SessionNames
    clusters: SessionClusters
    policy: CleanUpPolicy
    limits: ClusterLimits
    stagings: tuple[FileShareStaging, ...] = field(converter=_as_tuple)
    location: str | None
    use_existing: bool
    ready_timeout: float | None = field(converter=_as_timeout)
    run_folder: Path | None

    @property
    def cluster_limits(self) -> dict[str, ClusterLimits]:
        """How long each cluster may stay that has a limit, its own or the session's."""
        limits = {one.name: one.limits.or_else(self.limits) for one in self.clusters}
        return {name: limit for name, limit in limits.items() if limit.shortest is not None}

    @property
    def mounted(self) -> tuple[str, ...]:
        """The shares of the connection's account that clusters mount and nothing is staged to."""
        staged = {staging.share for staging in self.stagings}
        mounted = own_shares(mount for cluster in self.clusters for mount in cluster.mounts)
        return tuple(share for share in mounted if share not in staged)

    @property
    def shares(self) -> tuple[str, ...]:
        """All shares of the connection's account that the session uses."""
        return (*(staging.share for staging in self.stagings), *self.mounted)


def default_group(connection: Connection | None) -> str | None:
    """Return the resource group that a connection's settings name, if they do.

    Args:
        connection: The connection; None for the one that would be made.
    """
    if connection is not None:
        return connection.settings.resource_group
    chosen = configured()
    return chosen.settings.resource_group if chosen and chosen.settings else None
