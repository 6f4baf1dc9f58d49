"""Turning what the Azure clients raise into this library's errors, with what was asked."""

import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from batchai_recipes.errors import BatchAIRecipesError, RequestError

_CHECK_PRINCIPAL: Final = "check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
_CHECK_ADDRESS: Final = "does the service run? check BATCHAI_ENDPOINT and AZURE_AUTHORITY_HOST"
_CHECK_AUTHORITY: Final = "is it by the authority whose file BATCHAI_CA_FILE names?"
_CHECK_FILES: Final = "does the service run? check the storage account's file endpoint"
_CHECK_ACCOUNT: Final = "check the storage account's name and key, and this machine's clock"


@contextmanager
def explained(action: str, error_type: type[BatchAIRecipesError] = RequestError) -> Iterator[None]:
    """Raise this library's error for a failure of an Azure client inside the block.

    Args:
        action: What is being done, as it would follow "Failed to".
        error_type: The error to raise.

    Raises:
        BatchAIRecipesError: Of the given type, when a client raised; the client's own exception
            is its cause.

    Example:
        >>> from azure.core.exceptions import HttpResponseError
        >>> try:
        ...     with explained("create workspace demo"):
        ...         raise HttpResponseError("(QuotaExceeded) there are too many")
        ... except RequestError as error:
        ...     print(error)
        Failed to create workspace demo: (QuotaExceeded) there are too many
    """
    from azure.common import AzureException  # noqa: PLC0415 - loaded on first use
    from azure.core.exceptions import (  # noqa: PLC0415 - loaded on first use
        AzureError,
        ClientAuthenticationError,
    )

    try:
        yield
    except (AzureError, AzureException) as error:
        status = status_of(error)
        if status is None and isinstance(error, ClientAuthenticationError):
            status = HTTPStatus.UNAUTHORIZED  # no token was given
        hint = _hint(error, status, is_storage=isinstance(error, AzureException))
        text = str(error).strip().splitlines()
        message = text[0] if text else type(error).__name__
        raise error_type(f"Failed to {action}: {message}{f' ({hint})' if hint else ''}") from error


def _hint(error: Exception, status: int | None, *, is_storage: bool) -> str:
    import requests  # noqa: PLC0415 - loaded on first use

    # Whoever sent a status was reached, whatever went wrong before.
    chain = tuple(_chain(error)) if status_of(error) is None else ()
    if any(isinstance(one, ssl.SSLError | requests.exceptions.SSLError) for one in chain):
        return _CHECK_AUTHORITY
    if _is_unreached(chain):
        return _CHECK_FILES if is_storage else _CHECK_ADDRESS
    if status == HTTPStatus.UNAUTHORIZED:
        return _CHECK_PRINCIPAL
    # The management plane's own words say enough: who may not do what.
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    is_storage = is_storage or "x-ms-error-code" in headers  # a link, read by azure-core
    return _CHECK_ACCOUNT if status == HTTPStatus.FORBIDDEN and is_storage else ""


def _is_unreached(errors: Iterable[BaseException]) -> bool:
    """Tell whether a request found nobody, of an error and what it came from."""
    import requests  # noqa: PLC0415 - loaded on first use
    from azure.core.exceptions import ServiceRequestError  # noqa: PLC0415 - likewise

    return any(isinstance(one, ServiceRequestError | requests.ConnectionError) for one in errors)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came from."""
    seen: list[BaseException] = []  # they may lead in a circle
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        # What azure-core wraps it does not name as the cause.
        inner = getattr(error, "inner_exception", None)
        error = error.__cause__ or inner or error.__context__


def status_of(error: Exception) -> int | None:
    """Return the HTTP status that an Azure client's exception carries, if any."""
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None
