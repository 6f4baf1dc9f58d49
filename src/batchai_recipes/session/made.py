"""What a session makes, as plain data that can be written down and deleted by anybody."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias

from attrs import field, frozen

from batchai_recipes.refusals import explained
from batchai_recipes.staging.file_shares import shares_of
from batchai_recipes.tracing import span

if TYPE_CHECKING:
    from batchai_recipes.connection import Connection

MadeKind: TypeAlias = Literal[
    "resource group", "file share", "workspace", "cluster", "experiment", "job"
]


def _as_tuple(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)  # JSON knows lists only


@frozen
class Made:
    """One thing that a session made or was about to make.

    Args:
        kind: What it is.
        names: The names that lead to it, its own the last.

    Example:
        >>> str(Made("cluster", ["mygroup", "myworkspace", "mycluster"]))
        'cluster mycluster'
    """

    kind: MadeKind
    names: tuple[str, ...] = field(converter=_as_tuple)

    def __str__(self) -> str:
        return f"{self.kind} {self.names[-1]}"

    @property
    def attributes(self) -> dict[str, str]:
        """Its name by its kind, for spans."""
        return {self.kind.replace(" ", "_"): self.names[-1]}

    def delete(self, connection: "Connection") -> None:
        """Delete it; without effect when it is gone already or was never made.

        Args:
            connection: Where it is.

        Raises:
            RequestError: The service refused or did not answer.
        """
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

        with span(f"delete {self.kind}", **self.attributes), explained(f"delete {self}"):
            try:
                self._delete(connection)
            except ResourceNotFoundError:
                return

    def _delete(self, connection: "Connection") -> None:
        batchai = connection.batchai
        match self.kind:
            case "resource group":
                connection.resources.resource_groups.begin_delete(*self.names).wait()
            case "file share":
                shares_of(connection).delete(self.names[-1])
            case "workspace":
                batchai.workspaces.begin_delete(*self.names).wait()
            case "cluster":
                batchai.clusters.begin_delete(*self.names).wait()
            case "experiment":
                batchai.experiments.begin_delete(*self.names).wait()
            case "job":
                batchai.jobs.begin_delete(*self.names).wait()
