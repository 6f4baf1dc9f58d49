"""Deleting what a command names, once somebody has said yes."""

from batchai_recipes.cli.console import confirm, show_json, tell
from batchai_recipes.connection import Connection
from batchai_recipes.session.made import Made


def delete_when_confirmed(
    connection: Connection,
    doomed: Made,
    resource_id: str | None,
    *,
    within: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Ask, delete something, and say that it is gone.

    Args:
        connection: Where it is.
        doomed: What to delete.
        resource_id: Its id, for JSON.
        within: What it lies in, such as ``workspace mine``.
        yes: Whether not to ask.
        as_json: Whether to answer in JSON.
    """
    confirm(f"Delete {doomed} of {within}?", yes=yes)
    doomed.delete(connection)
    if as_json:
        show_json({"deleted": resource_id})
    else:
        tell(f"Deleted {doomed}")
