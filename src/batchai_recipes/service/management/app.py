"""The management plane put together: what happens to a request, in order.

1. :class:`RequestIds` gives it an id, which every answer carries and the log names.
2. The identity endpoints answer those who come for a token, and :class:`Metrics` those who watch.
3. :class:`Authentication` turns away everyone without one (401).
4. The routes of the nouns are matched without regard to case (404, 405).
5. The API version must be one that the noun has (400).
6. The subscription must be the service's own (404).
7. The body, where there is one, must be JSON of a sensible size (400, 413, 415).
8. The noun's handler checks names and properties and reads or changes the records.
9. Whatever was refused on the way leaves in Azure's shape of an error.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import date
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from batchai_recipes.service.changes import Changes
from batchai_recipes.service.clock import Clock
from batchai_recipes.service.identity.app import Identity
from batchai_recipes.service.identity.principals import Principals
from batchai_recipes.service.identity.tokens import Tokens
from batchai_recipes.service.management import (
    clusters,
    experiments,
    file_servers,
    jobs,
    operations,
    provider_operations,
    providers,
    resource_groups,
    storage_accounts,
    subscriptions,
    usages,
    workspaces,
)
from batchai_recipes.service.management.authentication import Authentication
from batchai_recipes.service.management.calls import Call, Endpoint, read_document
from batchai_recipes.service.management.errors import ManagementError
from batchai_recipes.service.management.metrics import ENDPOINT, Metrics
from batchai_recipes.service.management.plane import Addresses, ManagementPlane
from batchai_recipes.service.management.request_ids import RequestIds
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

__all__ = ["Addresses", "management_app"]

BATCHAI_VERSION: Final = "2018-05-01"
"""The only version of the Batch AI API that there is."""

ENDPOINTS: Final = (
    *subscriptions.ROUTES,
    *providers.ROUTES,
    *resource_groups.ROUTES,
    *storage_accounts.ROUTES,
    *provider_operations.ROUTES,
    *usages.ROUTES,
    *workspaces.ROUTES,
    *clusters.ROUTES,
    *file_servers.ROUTES,
    *experiments.ROUTES,
    *jobs.ROUTES,
    *operations.ROUTES,
)
"""Every endpoint of the management plane."""

_LOG: Final = logging.getLogger(__name__)
_WAITING_THREADS: Final = 64
_VERSION: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(-preview)?", re.ASCII)


def management_app(
    *,
    state: StateDirectory,
    store: Store,
    clock: Clock,
    changes: Changes,
    wake: Callable[[], None],
    tokens: Tokens,
    principals: Principals,
    addresses: Callable[[], Addresses],
    subscription_id: str,
) -> Starlette:
    """Return the management plane with the identity endpoints.

    Args:
        state: Where files lie.
        store: Where records lie.
        clock: Tells the time.
        changes: Rings when the scheduler has changed records.
        wake: Tells the scheduler that records were changed.
        tokens: Issues and checks tokens.
        principals: Who may ask for them.
        addresses: Tells where the service can be reached; asked at each use.
        subscription_id: The service's only subscription.
    """
    plane = ManagementPlane(
        state=state,
        store=store,
        clock=clock,
        changes=changes,
        wake=wake,
        addresses=addresses,
        subscription_id=subscription_id,
        tenant_id=tokens.tenant_id,
    )
    # Handlers that wait for the scheduler have threads of their own, or they could use up those of
    # all other handlers.
    waiters = ThreadPoolExecutor(_WAITING_THREADS, thread_name_prefix="operation-poll")
    nouns = Starlette(
        routes=[_CaselessRoute(endpoint, plane, waiters) for endpoint in ENDPOINTS],
        middleware=[Middleware(Authentication, tokens=tokens)],
        exception_handlers={
            ManagementError: _refused,
            HTTPException: _no_such_endpoint,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )
    nouns.router.redirect_slashes = False
    identity = Identity(principals=principals, tokens=tokens, clock=clock)
    metrics = Metrics(store)
    return Starlette(
        routes=[*identity.routes(), *metrics.routes(), Mount("/", app=nouns)],
        middleware=[Middleware(RequestIds, metrics=metrics)],
    )


class _CaselessRoute(Route):
    """A route to an endpoint that is matched without regard to case."""

    def __init__(self, endpoint: Endpoint, plane: ManagementPlane, waiters: Executor) -> None:
        super().__init__(
            endpoint.path, _pipeline(endpoint, plane, waiters), methods=[endpoint.method]
        )
        if self.methods is not None:
            # A GET route would answer HEAD too, before a HEAD endpoint of its own is looked at.
            self.methods = {endpoint.method}
        self.path_regex = re.compile(self.path_regex.pattern, re.IGNORECASE)


def _pipeline(
    endpoint: Endpoint, plane: ManagementPlane, waiters: Executor
) -> Callable[[Request], Awaitable[Response]]:
    """Return what leads from a matched request to its handler."""

    async def answer(request: Request) -> Response:
        request.scope[ENDPOINT] = endpoint.path
        query = {name.lower(): value for name, value in request.query_params.items()}
        _check_version(endpoint, query.get("api-version"))
        _check_subscription(plane, request.path_params.get("subscriptionId"))
        call = Call(
            path=request.url.path,
            names=request.path_params,
            query=query,
            document=await read_document(request),
        )
        if endpoint.waits:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(waiters, endpoint.handler, plane, call)
        return await run_in_threadpool(endpoint.handler, plane, call)

    return answer


def _check_version(endpoint: Endpoint, version: str | None) -> None:
    if not version:
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if endpoint.api == "batchai" and version != BATCHAI_VERSION:
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            "InvalidApiVersionParameter",
            f"The api-version '{version[:100]}' is invalid. The supported versions are "
            f"'{BATCHAI_VERSION}'.",
        )
    if endpoint.api == "resources" and not _is_version(version):
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            "InvalidApiVersionParameter",
            f"The api-version '{version[:100]}' is invalid. It must be a date, as '2021-04-01'.",
        )


def _is_version(version: str) -> bool:
    match = _VERSION.fullmatch(version)
    try:
        return match is not None and bool(date.fromisoformat(match.group(1)))
    except ValueError:
        return False


def _check_subscription(plane: ManagementPlane, subscription_id: str | None) -> None:
    if subscription_id is None:  # what lies outside of subscriptions
        return
    if subscription_id.lower() != plane.subscription_id.lower():
        raise ManagementError(
            HTTPStatus.NOT_FOUND,
            "SubscriptionNotFound",
            f"The subscription '{subscription_id[:100]}' could not be found. This service has one "
            f"subscription, '{plane.subscription_id}'.",
        )


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ManagementError):
        raise error
    return error.response()


async def _no_such_endpoint(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    path = request.url.path[:200]
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        refusal = ManagementError(
            status,
            "MethodNotAllowed",
            f"The path '{path}' does not answer {request.method}. Its methods are "
            f"{(error.headers or {}).get('Allow', 'others')}.",
            headers=error.headers,
        )
    else:
        refusal = ManagementError(
            status,
            "InvalidResourceType",
            f"The path '{path}' names no resource type of this service. It has resource groups, "
            "storage accounts, and the workspaces, clusters, file servers, experiments and jobs of "
            "Microsoft.BatchAI.",
        )
    return refusal.response()


async def _gone(_request: Request, _error: Exception) -> Response:
    # The client closed the connection before its request was complete; nobody reads this.
    return Response(status_code=HTTPStatus.BAD_REQUEST)


async def _failed(_request: Request, _error: Exception) -> Response:
    # Starlette logs the traceback; the client gets no part of it.
    return ManagementError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "InternalServerError",
        "The service failed to answer. Its log says why, under the request id of this answer.",
    ).response()
