"""The client of azure-storage-file for one account. Loaded when a share is first used."""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import requests
from azure.storage.common.retry import ExponentialRetry
from azure.storage.file import FileService

from batchai_recipes.staging.loopback_session import LoopbackSession
from batchai_recipes.staging.storage_account import StorageAccount, is_loopback


def file_client(
    storage: StorageAccount, ca_file: Path | None
) -> tuple[FileService, Callable[[], None]]:
    """Make the client.

    Args:
        storage: The account.
        ca_file: The certificate authority to trust (PEM); None for the system's own.

    Returns:
        The client, and what closes its connections.
    """
    endpoint = storage.files_endpoint
    session: requests.Session
    if endpoint.startswith("http:") and is_loopback(endpoint):
        session = LoopbackSession(endpoint)
    else:
        session = requests.Session()
        # A proxy of the environment cannot reach this machine.
        session.trust_env = not is_loopback(endpoint)
        if ca_file:
            session.verify = str(ca_file)
    session.hooks["response"].append(_with_error_code)
    client = FileService(connection_string=storage.connection_string, request_session=session)
    # The client's own first pause is 15 s, made for the cloud's rare throttling.
    client.retry = ExponentialRetry(
        initial_backoff=1, increment_base=2, random_jitter_range=1
    ).retry
    return client, session.close


def _with_error_code(response: requests.Response, *_: object, **__: object) -> None:
    # The client looks in each refusal for the service's code and fails with a TypeError where a
    # proxy's or a gateway's has none.
    if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
        response.headers.setdefault("x-ms-error-code", "Unknown")
