"""The way of a request through the management plane, from its first header to its answer."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from functools import lru_cache
from http import HTTPStatus
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

from attrs import frozen
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from batchai_recipes.service.log import FIELDS
from batchai_recipes.service.management.api_versions import check_version
from batchai_recipes.service.management.authentication import Authentication
from batchai_recipes.service.management.calls import Call, Endpoint, read_document
from batchai_recipes.service.management.errors import ManagementError
from batchai_recipes.service.management.metrics import Metrics
from batchai_recipes.service.management.operation_ends import OperationEnds
from batchai_recipes.service.management.operations import POLL_SECONDS
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.preconditions import Preconditions
from batchai_recipes.service.management.request_ids import RequestIds
from batchai_recipes.service.management.routing import Found, Routes

_COMMON_QUERY_BYTES: Final = 64
_logger = logging.getLogger(__name__)


@frozen
class Pipeline:
    """The management plane as an ASGI application; its steps stand in :mod:`.app`.

    Args:
        plane: What handlers work with.
        routes: The endpoints that need a token.
        open_routes: Those that need none.
        authentication: Checks tokens.
        metrics: Counts answers.
        ends: Waits for the end of operations.
        workers: The threads of the handlers that take their time.
    """

    plane: ManagementPlane
    routes: Routes
    open_routes: Sequence[Route]
    authentication: Authentication
    metrics: Metrics
    ends: OperationEnds
    workers: Executor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; see ASGI."""
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        # Of a header that was sent twice, the first counts.
        headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        ids = RequestIds.of(headers)
        found = self.routes.find(scope["path"])
        endpoint = None if found is None else found.endpoints.get(scope["method"])
        try:
            response = await self._response(scope, receive, headers, found, endpoint)
        except ManagementError as error:
            response = error.response()
        except ClientDisconnect:
            response = Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads this
        except Exception:
            # The client gets no part of the traceback.
            _logger.exception(
                'request_id=%s message="The service failed to answer"',
                ids.request_id,
                extra=FIELDS,
            )
            response = _failure().response()
        # Before the answer is sent: who has it finds it counted and in the log.
        seconds = time.perf_counter() - began
        template = "other" if endpoint is None else endpoint.path
        self.metrics.observe(scope["method"], template, response.status_code, seconds)
        ids.log(scope, response.status_code, seconds)
        start = {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": [*response.raw_headers, *ids.headers()],
        }
        await send(start)
        await send({"type": "http.response.body", "body": response.body})

    async def _response(
        self,
        scope: Scope,
        receive: Receive,
        headers: Mapping[bytes, bytes],
        found: Found | None,
        endpoint: Endpoint | None,
    ) -> Response:
        if found is None:
            for route in self.open_routes:
                match, matched = route.matches(scope)
                if match is Match.FULL:
                    scope.update(matched)
                    response: Response = await route.endpoint(Request(scope, receive))
                    return response
        self.authentication.check(headers)
        if found is None:
            raise _no_such_path(scope["path"])
        if endpoint is None:
            raise _no_such_method(scope, found)
        return await self._handle(scope, receive, headers, endpoint, found.names(endpoint))

    async def _handle(
        self,
        scope: Scope,
        receive: Receive,
        headers: Mapping[bytes, bytes],
        endpoint: Endpoint,
        names: Mapping[str, str],
    ) -> Response:
        query = _query(scope["query_string"])
        check_version(endpoint, query.get("api-version"))
        self._check_subscription(names.get("subscriptionId"))
        document = await read_document(headers, receive)
        call = Call(
            path=scope["path"],
            names=names,
            query=query,
            document=document,
            preconditions=Preconditions.of(headers),
        )
        if endpoint.waits:
            await self.ends.wait(names["operationId"].lower(), POLL_SECONDS)
        if not endpoint.quick:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.workers, endpoint.handler, self.plane, call)
        response = endpoint.handler(self.plane, call)
        if call.preconditions.if_none_match is not None:
            return _unless_known(response, call.preconditions)
        return response

    def _check_subscription(self, subscription_id: str | None) -> None:
        if subscription_id is None:  # what lies outside of subscriptions
            return
        if subscription_id.lower() != self.plane.subscription_id.lower():
            raise ManagementError(
                HTTPStatus.NOT_FOUND,
                "SubscriptionNotFound",
                f"The subscription '{subscription_id[:100]}' could not be found. This service has "
                f"one subscription, '{self.plane.subscription_id}'.",
            )


def _unless_known(response: Response, preconditions: Preconditions) -> Response:
    """Return an answer, or 304 where the reader has what it shows already."""
    etag = dict(response.raw_headers).get(b"etag", b"").decode("latin-1")
    if etag and preconditions.is_unchanged(etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    return response


def _query(query_string: bytes) -> Mapping[str, str]:
    if len(query_string) <= _COMMON_QUERY_BYTES:
        return _common_query(query_string)
    return _parse_query(query_string)


def _parse_query(query_string: bytes) -> Mapping[str, str]:
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    return MappingProxyType({name.lower(): value for name, value in pairs})


# Nearly all queries are the same few.
_common_query = lru_cache(maxsize=256)(_parse_query)


def _no_such_path(path: str) -> ManagementError:
    return ManagementError(
        HTTPStatus.NOT_FOUND,
        "InvalidResourceType",
        f"The path '{path[:200]}' names no resource type of this service. It has resource groups, "
        "storage accounts, and the workspaces, clusters, file servers, experiments and jobs of "
        "Microsoft.BatchAI.",
    )


def _no_such_method(scope: Scope, found: Found) -> ManagementError:
    methods = ", ".join(sorted(found.endpoints))
    return ManagementError(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        f"The path '{scope['path'][:200]}' does not answer {scope['method']}. Its methods are "
        f"{methods}.",
        headers={"Allow": methods},
    )


def _failure() -> ManagementError:
    return ManagementError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "InternalServerError",
        "The service failed to answer. Its log says why, under the request id of this answer.",
    )
