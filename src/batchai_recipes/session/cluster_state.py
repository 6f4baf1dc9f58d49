"""The state of a cluster in the words of the quickstart, and waiting for it to be ready."""

from collections.abc import Callable, Iterable
from textwrap import indent
from typing import TYPE_CHECKING

from attrs import frozen

from batchai_recipes.errors import ClusterError, WaitTimeoutError
from batchai_recipes.notebook import described
from batchai_recipes.pacing import Pacing
from batchai_recipes.terminal import waiting

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import BatchAIError, Cluster, NameValuePair


@frozen
class ClusterState:
    """How many nodes of a cluster are in which state.

    Args:
        allocation: ``steady`` or ``resizing``.
        target: How many nodes are wanted.
        allocated: How many there are.
        idle: Nodes that wait for a job.
        unusable: Nodes whose preparation failed.
        running: Nodes that run a job.
        preparing: Nodes that are being set up.
        leaving: Nodes that are being removed.
        errors: What the service says went wrong, each as ``CODE: message``, with a
            line for each detail.

    Example:
        >>> print(ClusterState("steady", target=1, allocated=1, idle=1))
        Cluster state: steady Target: 1; Allocated: 1; Idle: 1; Unusable: 0; Running: 0; \
Preparing: 0; Leaving: 0
    """

    allocation: str
    target: int = 0
    allocated: int = 0
    idle: int = 0
    unusable: int = 0
    running: int = 0
    preparing: int = 0
    leaving: int = 0
    errors: tuple[str, ...] = ()

    @classmethod
    def of(cls, cluster: "Cluster") -> "ClusterState":
        """Read the state from a cluster as the service described it.

        Args:
            cluster: The official model, such as ``connection.batchai.clusters.get`` returns.
        """
        counts = cluster.node_state_counts
        scale = cluster.scale_settings
        allocated = _number(cluster, "current_node_count")
        return cls(
            allocation=str(getattr(cluster.allocation_state, "value", cluster.allocation_state)),
            target=_number(scale.manual, "target_node_count")
            if scale and scale.manual
            else allocated,
            allocated=allocated,
            idle=_number(counts, "idle_node_count"),
            unusable=_number(counts, "unusable_node_count"),
            running=_number(counts, "running_node_count"),
            preparing=_number(counts, "preparing_node_count"),
            leaving=_number(counts, "leaving_node_count"),
            errors=_errors_of(cluster),
        )

    @property
    def ready(self) -> bool:
        """Whether all nodes that are wanted can take jobs."""
        return self.allocation == "steady" and self.idle + self.running >= self.target

    @property
    def settled(self) -> bool:
        """Whether no node runs a job, is being set up or comes or goes."""
        return self.allocation == "steady" and not (self.running or self.preparing or self.leaving)

    @property
    def failed(self) -> bool:
        """Whether the cluster will not become ready by waiting."""
        return self.allocation == "steady" and not self.ready and not self.preparing

    def _repr_html_(self) -> str:
        """Return it as a table, for notebooks."""
        return described(self)

    def __str__(self) -> str:
        return (
            f"Cluster state: {self.allocation} Target: {self.target}; "
            f"Allocated: {self.allocated}; Idle: {self.idle}; Unusable: {self.unusable}; "
            f"Running: {self.running}; Preparing: {self.preparing}; Leaving: {self.leaving}"
        )


def _number(model: object, attribute: str) -> int:
    # The package declares its read-only attributes as None, so their types are looked up by name.
    return int(getattr(model, attribute, None) or 0)


def _errors_of(cluster: "Cluster") -> tuple[str, ...]:
    errors: Iterable[BatchAIError] = getattr(cluster, "errors", None) or ()
    return tuple("\n".join(_lines_of(error)) for error in errors)


def _lines_of(error: "BatchAIError") -> Iterable[str]:
    """Yield what is said of an error, with its details, such as the end of a standard error."""
    yield f"{error.code}: {error.message}"
    details: Iterable[NameValuePair] = getattr(error, "details", None) or ()
    for detail in details:
        yield indent(f"{detail.name}: {detail.value}", "  ")


def wait_until_ready(
    name: str,
    look: Callable[[], "Cluster"],
    *,
    report: Callable[[str], None],
    pacing: Pacing,
    timeout: float | None,
) -> ClusterState:
    """Wait until a cluster's nodes can take jobs, reporting each change of state.

    Args:
        name: The cluster's name.
        look: Asks the service for the cluster.
        report: Told of each new state, in the quickstart's words.
        pacing: How often to look.
        timeout: How long to wait at most, in seconds; None for as long as it takes.

    Raises:
        ClusterError: The service reports errors, or nodes are unusable.
        WaitTimeoutError: The cluster was not ready in time.
    """
    started = pacing.monotonic()
    pauses = pacing.pauses()
    last: ClusterState | None = None
    with waiting(f"Cluster {name}") as shown:
        while True:
            state = ClusterState.of(look())
            if state != last:
                report(str(state))
                last = state
                usable = state.idle + state.running
                shown.state(f"{state.allocation}, {usable} of {state.target} nodes ready")
            if state.ready:
                return state
            if state.failed:
                raise _failure(name, state)
            if timeout is not None and pacing.monotonic() - started > timeout:
                raise WaitTimeoutError(
                    f"Cluster {name} was not ready within {timeout:g} s ({state})"
                )
            next(pauses)


def _failure(name: str, state: ClusterState) -> ClusterError:
    reasons = indent("\n".join(state.errors), "  ")
    return ClusterError(
        f"Cluster {name} did not become ready: {state.unusable} of {state.target} nodes "
        f"are unusable.\n{reasons or '  The service gave no reason.'}"
    )
