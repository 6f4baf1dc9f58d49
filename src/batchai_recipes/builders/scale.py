"""How many nodes a cluster has."""

from typing import TYPE_CHECKING, Literal, TypeAlias

from attrs import frozen

from batchai_recipes.builders.count import checked_count
from batchai_recipes.errors import ConfigurationError

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import ScaleSettings

DeallocationOption: TypeAlias = Literal["requeue", "terminate", "waitforjobcompletion"]

_OPTIONS = ("requeue", "terminate", "waitforjobcompletion")
_NODES = "nodes of a cluster"


@frozen
class ManualScale:
    """A fixed number of nodes.

    Args:
        target_node_count: How many nodes.
        node_deallocation_option: What becomes of jobs on nodes that are given up; None for the
            service's default.
    """

    target_node_count: int
    node_deallocation_option: DeallocationOption | None = None

    @classmethod
    def checked(cls, count: int, option: DeallocationOption | None) -> "ManualScale":
        """Return the scale if the service would take it.

        Args:
            count: How many nodes.
            option: What becomes of jobs on nodes that are given up.

        Raises:
            ConfigurationError: The count is negative or no whole number, or the option another
                word.

        Example:
            >>> ManualScale.checked(2, None)
            ManualScale(target_node_count=2, node_deallocation_option=None)
        """
        if option is not None and option not in _OPTIONS:
            raise ConfigurationError(
                f"{option!r} is no node deallocation option: use one of {', '.join(_OPTIONS)}"
            )
        return cls(checked_count(_NODES, count, at_least=0), option)

    @property
    def most_nodes(self) -> int:
        """How many nodes there are at most, until somebody scales the cluster."""
        return self.target_node_count

    def model(self) -> "ScaleSettings":
        """Return the official model."""
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        manual = models.ManualScaleSettings(target_node_count=self.target_node_count)
        if self.node_deallocation_option:
            manual.node_deallocation_option = self.node_deallocation_option
        return models.ScaleSettings(manual=manual)


@frozen
class AutoScale:
    """A number of nodes that follows the jobs.

    Args:
        minimum_node_count: The fewest nodes.
        maximum_node_count: The most nodes.
        initial_node_count: How many nodes to begin with.
    """

    minimum_node_count: int
    maximum_node_count: int
    initial_node_count: int = 0

    @classmethod
    def checked(cls, minimum: int, maximum: int, initial: int) -> "AutoScale":
        """Return the scale if the service would take it.

        Args:
            minimum: The fewest nodes.
            maximum: The most nodes.
            initial: How many nodes to begin with.

        Raises:
            ConfigurationError: A count is negative or no whole number, or greater than the maximum.

        Example:
            >>> AutoScale.checked(0, 4, 1).maximum_node_count
            4
        """
        for count in (minimum, maximum, initial):
            checked_count(_NODES, count, at_least=0)
        for name, count in (("minimum", minimum), ("initial", initial)):
            if count > maximum:
                raise ConfigurationError(
                    f"The {name} of {count} nodes is more than the maximum of {maximum}"
                )
        return cls(minimum, maximum, initial)

    @property
    def most_nodes(self) -> int:
        """How many nodes there are at most, until somebody scales the cluster."""
        return self.maximum_node_count

    def model(self) -> "ScaleSettings":
        """Return the official model."""
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        return models.ScaleSettings(
            auto_scale=models.AutoScaleSettings(
                minimum_node_count=self.minimum_node_count,
                maximum_node_count=self.maximum_node_count,
                initial_node_count=self.initial_node_count,
            )
        )
