"""The service, and whether it takes the credentials."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchai_recipes.cli.connecting import connect
from batchai_recipes.cli.doctor.diagnosis import Diagnosis
from batchai_recipes.errors import BatchAIRecipesError
from batchai_recipes.refusals import explained

if TYPE_CHECKING:
    import requests

    from batchai_recipes.connection import Connection


_TIMEOUT_SECONDS: Final = 10


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
        problem = None if embedded else _unreached(connection)
        if problem:
            advice = f"{problem}; start the service, or check BATCHAI_ENDPOINT and BATCHAI_CA_FILE"
            yield Diagnosis("Service", "failed", kind, advice)
        else:
            yield Diagnosis("Service", "ok", kind)
            yield from _management(connection)
        yield from _shares(connection)


def _unreached(connection: "Connection") -> str | None:
    """Say why nobody answers at the endpoint; None if somebody does, whatever it is."""
    import requests  # noqa: PLC0415 - loaded on first use

    settings = connection.settings
    try:
        requests.get(
            settings.endpoint, verify=str(settings.ca_file or "") or True, timeout=_TIMEOUT_SECONDS
        )
    except requests.RequestException as error:
        return f"it does not answer: {_reason(error)}"
    return None


def _reason(error: "requests.RequestException") -> str:
    """Return the innermost words of what requests raised, which wraps them several times."""
    inner: BaseException = error
    while inner.args and isinstance(inner.args[0], BaseException):
        inner = getattr(inner.args[0], "reason", None) or inner.args[0]
    return str(inner)


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
