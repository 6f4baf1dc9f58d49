"""The identity endpoints: OpenID documents and the OAuth 2 client-credentials grant.

Source: RFC 6749 section 4.4, OpenID Connect Discovery 1.0, and what Entra ID's clients read.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

from attrs import frozen
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from batchai_recipes.service.clock import Clock
from batchai_recipes.service.identity.errors import GrantError
from batchai_recipes.service.identity.principals import Principals
from batchai_recipes.service.identity.tokens import Tokens

_FORM: Final = "application/x-www-form-urlencoded"
_MAXIMUM_FORM_BYTES: Final = 64 * 1024
# Scopes that clients add and that need no consent.
_PROTOCOL_SCOPES: Final = frozenset({"openid", "profile", "offline_access"})
_DEFAULT_SCOPE: Final = "/.default"
_UNCACHED: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@frozen
class Identity:
    """The identity endpoints of one tenant.

    Args:
        principals: Who may ask for tokens.
        tokens: Issues them.
        clock: Tells the time that refusals name.
    """

    principals: Principals
    tokens: Tokens
    clock: Clock

    def routes(self) -> list[Route]:
        """Return the endpoints as routes."""
        return [
            Route("/{tenant}/v2.0/.well-known/openid-configuration", self._configuration),
            Route("/{tenant}/discovery/v2.0/keys", self._keys),
            Route("/{tenant}/oauth2/v2.0/token", self._token_by_scope, methods=["POST"]),
            # Before the tenant's own: Active Directory Federation Services name no tenant.
            Route("/adfs/oauth2/token", self._token_by_resource, methods=["POST"]),
            Route("/{tenant}/oauth2/token", self._token_by_resource, methods=["POST"]),
        ]

    async def _configuration(self, request: Request) -> Response:
        try:
            self._check_tenant(request)
        except GrantError as error:
            return error.response(self.clock)
        base = self.tokens.authorization_uri
        return JSONResponse(
            {
                "issuer": self.tokens.issuer,
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_types_supported": ["token"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["client_credentials"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid"],
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
                "claims_supported": ["aud", "iss", "exp", "nbf", "iat", "tid", "appid", "oid"],
            }
        )

    async def _keys(self, request: Request) -> Response:
        try:
            self._check_tenant(request)
        except GrantError as error:
            return error.response(self.clock)
        return JSONResponse(self.tokens.key_set())

    async def _token_by_scope(self, request: Request) -> Response:
        """Answer the v2.0 endpoint, where the client names a scope."""
        try:
            form = await self._form(request)
            audience = self._audience_of_scope(_field(form, "scope"))
            token, seconds = await run_in_threadpool(self._grant, form, audience)
        except GrantError as error:
            return error.response(self.clock)
        return JSONResponse(
            {
                "token_type": "Bearer",
                "expires_in": seconds,
                "ext_expires_in": seconds,
                "access_token": token,
            },
            headers=_UNCACHED,
        )

    async def _token_by_resource(self, request: Request) -> Response:
        """Answer the v1 endpoint, where the client names a resource."""
        try:
            form = await self._form(request)
            audience = self._known(_field(form, "resource"))
            token, seconds = await run_in_threadpool(self._grant, form, audience)
        except GrantError as error:
            return error.response(self.clock)
        now = int(self.clock.now().timestamp())
        return JSONResponse(
            {
                "token_type": "Bearer",
                "expires_in": str(seconds),
                "ext_expires_in": str(seconds),
                "expires_on": str(now + seconds),
                "not_before": str(now),
                "resource": audience,
                "access_token": token,
            },
            headers=_UNCACHED,
        )

    async def _form(self, request: Request) -> dict[str, str]:
        self._check_tenant(request)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != _FORM:
            raise GrantError(
                "invalid_request", 900144, f"The request body must be a form ({_FORM})."
            )
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAXIMUM_FORM_BYTES:
                raise GrantError(
                    "invalid_request",
                    900144,
                    f"The request body is over {_MAXIMUM_FORM_BYTES} bytes.",
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                )
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        return {name: values[-1] for name, values in fields.items()}

    def _check_tenant(self, request: Request) -> None:
        tenant: str | None = request.path_params.get("tenant")
        if tenant is not None and tenant.lower() != self.tokens.tenant_id:
            raise GrantError(
                "invalid_request",
                90002,
                f"Tenant '{tenant}' not found. This service has one tenant, "
                f"'{self.tokens.tenant_id}': check the tenant id.",
            )

    def _audience_of_scope(self, scope: str) -> str:
        scopes = [part for part in scope.split() if part not in _PROTOCOL_SCOPES]
        if len(scopes) != 1 or not scopes[0].endswith(_DEFAULT_SCOPE):
            raise GrantError(
                "invalid_scope",
                1002012,
                f"The provided value for scope '{scope}' is not valid. Client credential flows "
                "must have one scope value with /.default suffixed to the resource identifier.",
            )
        return self._known(scopes[0][: -len(_DEFAULT_SCOPE)])

    def _known(self, audience: str) -> str:
        if not self.tokens.knows_audience(audience):
            raise GrantError(
                "invalid_resource",
                500011,
                f"The resource principal named {audience} was not found in the tenant. Use "
                "https://management.azure.com.",
            )
        return audience

    def _grant(self, form: Mapping[str, str], audience: str) -> tuple[str, int]:
        """Check the client and issue a token; hashing takes its time, so not on the event loop."""
        grant_type = _field(form, "grant_type")
        if grant_type != "client_credentials":
            raise GrantError(
                "unsupported_grant_type",
                70003,
                f"The app requested an unsupported grant type '{grant_type}'. This service knows "
                "'client_credentials'.",
            )
        client_id, secret = _field(form, "client_id"), form.get("client_secret")
        if secret is None:
            raise GrantError(
                "invalid_client",
                7000218,
                "The request body must contain the following parameter: 'client_secret'.",
                HTTPStatus.UNAUTHORIZED,
            )
        if not self.principals.exists(client_id):
            raise GrantError(
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory "
                f"'{self.tokens.tenant_id}'. Check the client id.",
            )
        if not self.principals.verify(client_id, self.tokens.tenant_id, secret):
            raise GrantError(
                "invalid_client",
                7000215,
                f"Invalid client secret provided for the app '{client_id}'. Check the secret.",
                HTTPStatus.UNAUTHORIZED,
            )
        return self.tokens.issue(client_id.lower(), audience)


def _field(form: Mapping[str, Any], name: str) -> str:
    value = form.get(name)
    if not value:
        raise GrantError(
            "invalid_request",
            900144,
            f"The request body must contain the following parameter: '{name}'.",
        )
    return str(value)
