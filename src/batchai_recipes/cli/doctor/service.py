"""The service, and whether it takes the credentials."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from batchai_recipes.cli.connecting import connect
from batchai_recipes.cli.doctor.diagnosis import Diagnosis
from batchai_recipes.errors import BatchAIRecipesError
from batchai_recipes.refusals import explained

if TYPE_CHECKING:
    from batchai_recipes.connection import Connection


def check_service(
    profile: str | None, env_file: Path | None, state_dir: Path | None
) -> Iterator[Diagnosis]:
    """Check that the service is there and takes the credentials, of both its parts.

    Args:
        profile: A profile, if the user named one.
        env_file: A file of settings, if the user named one.
        state_dir: The state directory of the embedded service, if the user named one.
    """
    try:
        connection = connect(profile, env_file, state_dir)
    except BatchAIRecipesError as error:
        yield Diagnosis("Service", "failed", "no connection", str(error))
        return
    with connection:
        where = connection.settings.endpoint
        embedded = connection.state_dir
        kind = f"embedded, in {embedded}" if embedded else where
        yield Diagnosis("Service", "ok", kind)
        yield from _management(connection)
        yield from _shares(connection)


def _management(connection: "Connection") -> Iterator[Diagnosis]:
    settings = connection.settings
    who = settings.client_id or f"the credential {settings.credential!r}"
    try:
        with explained(f"list the workspaces of subscription {settings.subscription_id}"):
            count = len(list(connection.batchai.workspaces.list()))
    except (BatchAIRecipesError, OSError) as error:
        yield Diagnosis("Credentials", "failed", who, str(error))
    else:
        found = f"{who} sees {count} workspace{'' if count == 1 else 's'}"
        yield Diagnosis("Credentials", "ok", found)


def _shares(connection: "Connection") -> Iterator[Diagnosis]:
    storage = connection.storage
    try:
        with explained(f"list the file shares of account {storage.name}"):
            count = len(list(connection.files.list_shares()))
    except (BatchAIRecipesError, OSError) as error:
        yield Diagnosis("Storage account", "failed", storage.name, str(error))
    else:
        found = f"{storage.name} has {count} file share{'' if count == 1 else 's'}"
        yield Diagnosis("Storage account", "ok", found)
