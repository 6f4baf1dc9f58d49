"""The clusters of one session, by name, and what they mount."""

import difflib
from collections.abc import Iterable, Iterator

from attrs import evolve

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.mount import Mount
from batchai_recipes.errors import ConfigurationError


class SessionClusters:
    """The clusters of a session.

    Args:
        builders: The clusters, at least one, each with a name of its own.
        may_be_none: Whether none is enough: those of a session that is taken up may be gone.

    Raises:
        ConfigurationError: There is none, one is no builder, or two have one name (upper and lower
            case are the same).

    Example:
        >>> clusters = SessionClusters([ClusterBuilder("small"), ClusterBuilder("large")])
        >>> clusters.pick("large").name
        'large'
    """

    def __init__(self, builders: Iterable[ClusterBuilder], *, may_be_none: bool = False) -> None:
        self._builders: dict[str, ClusterBuilder] = {}
        for builder in builders:
            if not isinstance(builder, ClusterBuilder):
                raise ConfigurationError(
                    f"A session takes clusters as ClusterBuilder('mycluster')..., not {builder!r}"
                )
            if builder.name.casefold() in self._builders:
                raise ConfigurationError(
                    f"Two clusters of the session are named {builder.name!r}: rename one"
                )
            self._builders[builder.name.casefold()] = builder
        if not self._builders and not may_be_none:
            raise ConfigurationError(
                "A session needs a cluster: TrainingSession(ClusterBuilder('mycluster')...)"
            )

    def __iter__(self) -> Iterator[ClusterBuilder]:
        return iter(tuple(self._builders.values()))

    def __repr__(self) -> str:
        return f"SessionClusters({list(self._builders.values())!r})"

    @property
    def names(self) -> tuple[str, ...]:
        """The clusters' names, in the order in which they were given."""
        return tuple(builder.name for builder in self)

    def pick(self, name: str | None) -> ClusterBuilder:
        """Return a cluster by its name.

        Args:
            name: The name; None for the only one.

        Raises:
            ConfigurationError: There is none of the name, or several and none is named.
        """
        known = ", ".join(repr(one) for one in self.names)
        if name is None:
            if not self._builders:
                raise ConfigurationError("The session has no cluster any more")
            if len(self._builders) > 1:
                raise ConfigurationError(
                    f"The session has the clusters {known}: name one, such as "
                    f"cluster={self.names[0]!r}"
                )
            return next(iter(self))
        builder = self._builders.get(name.casefold())
        if builder is None:
            near = difflib.get_close_matches(name, self.names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {known}"
            raise ConfigurationError(f"The session has no cluster {name!r}: {hint}")
        return builder

    def drop(self, name: str) -> None:
        """Forget a cluster that is gone.

        Args:
            name: Its name.
        """
        del self._builders[name.casefold()]

    def mounting(self, name: str, mounts: tuple[Mount, ...]) -> None:
        """Note what a cluster that was there before mounts.

        Args:
            name: The cluster's name.
            mounts: What it mounts.
        """
        self._builders[name.casefold()] = evolve(self._builders[name.casefold()], mounts=mounts)
