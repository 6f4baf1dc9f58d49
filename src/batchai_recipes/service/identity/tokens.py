"""Access tokens: signed JSON Web Tokens as Microsoft Entra ID issues them."""

import base64
import hashlib
import re
import uuid
from collections.abc import Callable, Collection
from typing import Any, Final

import jwt
from attrs import frozen
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from jwt.algorithms import RSAAlgorithm

from batchai_recipes.service.clock import Clock

LIFETIME_SECONDS: Final = 3599
"""How long a token is valid, as Entra ID's default."""

_SKEW_SECONDS: Final = 300
_REMEMBERED: Final = 1024
_ALGORITHM: Final = "RS256"
_MANAGEMENT_AUDIENCES: Final = (
    "https://management.azure.com",
    "https://management.core.windows.net",
)
STORAGE_AUDIENCE: Final = "https://storage.azure.com"
"""The audience of tokens for every storage account."""
_STORAGE_ACCOUNT: Final = re.compile(r"https://[a-z0-9]{3,24}\.file\.core\.windows\.net")
_REQUIRED_CLAIMS: Final = ("aud", "iss", "exp", "nbf", "iat", "tid", "appid", "oid")


class TokenError(Exception):
    """A bearer token was refused.

    Args:
        code: Azure Resource Manager's code of the refusal.
        message: What is wrong with the token and how to get a good one.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@frozen
class Claims:
    """What a valid token says.

    Args:
        client_id: The principal that it was issued to.
        tenant_id: The tenant of the principal.
        audience: The API that it was issued for.
        not_before: When it begins, in seconds since 1970.
        expires_at: When it ends, in seconds since 1970.
        object_id: The principal's object in the tenant.
    """

    client_id: str
    tenant_id: str
    audience: str
    not_before: int
    expires_at: int
    object_id: str


class Tokens:
    """Issues and checks the tokens of one tenant.

    Args:
        key_pem: The private RSA key that signs, in PEM.
        issuer: Tells the service's own https address, without a trailing slash. It is asked at each
            use, since the port may be known only once the service listens.
        tenant_id: The tenant.
        clock: Tells the time of issue and of checking.
    """

    def __init__(
        self, key_pem: bytes, issuer: Callable[[], str], tenant_id: str, clock: Clock
    ) -> None:
        key = load_pem_private_key(key_pem, password=None)
        if not isinstance(key, RSAPrivateKey):
            raise TypeError(f"tokens are signed with an RSA key, not {type(key).__name__}")
        self._key = key
        self._base = issuer
        self._clock = clock
        self.tenant_id = tenant_id.lower()
        # Tokens that were found good but for the time, by their digests: clients send one token for
        # an hour, and checking it takes longer than most answers.
        self._known: dict[bytes, Claims] = {}
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        digest = hashlib.sha256(public).digest()
        self._key_id = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")

    @property
    def secret(self) -> bytes:
        """A secret of the same life as the key that signs, for what else must follow from one."""
        private = self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return hashlib.sha256(private).digest()

    @property
    def issuer(self) -> str:
        """The issuer that the tokens name."""
        return f"{self._base()}/{self.tenant_id}/v2.0"

    @property
    def authorization_uri(self) -> str:
        """Where a client without a token is sent."""
        return f"{self._base()}/{self.tenant_id}"

    def knows_audience(self, audience: str) -> bool:
        """Tell whether tokens are issued for an API.

        Args:
            audience: The API's address, with or without a trailing slash.
        """
        bare = audience.rstrip("/")
        known = (*self._accepted(), STORAGE_AUDIENCE)
        return bare in known or _STORAGE_ACCOUNT.fullmatch(bare) is not None

    def issue(self, client_id: str, audience: str) -> tuple[str, int]:
        """Issue a token.

        Args:
            client_id: The principal that it is for; its secret has been checked.
            audience: The API that it is for.

        Returns:
            The token, and how long it is valid in seconds.
        """
        now = int(self._clock.now().timestamp())
        claims = {
            "aud": audience,
            "iss": self.issuer,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_SECONDS,
            "tid": self.tenant_id,
            "appid": client_id,
            "azp": client_id,
            "oid": self.object_id(client_id),
            "sub": client_id,
            "uti": uuid.uuid4().hex,
            "ver": "2.0",
        }
        token = jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"kid": self._key_id})
        return token, LIFETIME_SECONDS

    def object_id(self, client_id: str) -> str:
        """Return the id of a principal's object in the tenant, which follows from the client's.

        Args:
            client_id: The principal.
        """
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.tenant_id}/{client_id}"))

    def verify(self, token: str, *, audiences: Collection[str] | None = None) -> Claims:
        """Check a token.

        Args:
            token: What follows ``Bearer`` in the Authorization header.
            audiences: For which APIs it may have been issued; None for the management plane.

        Returns:
            What the token says.

        Raises:
            TokenError: It is not ours, not for such an API, or not valid now.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        claims = self._known.get(digest)
        if claims is None:
            claims = self._checked(self._decode(token))
            self._remember(digest, claims)
        self._check_audience(claims, self._accepted() if audiences is None else audiences)
        self._check_times(claims)
        return claims

    def key_set(self) -> dict[str, list[dict[str, Any]]]:
        """Return the public key as a JSON Web Key Set."""
        key = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        public = {name: key[name] for name in ("kty", "n", "e")}
        return {
            "keys": [{**public, "use": "sig", "alg": _ALGORITHM, "kid": self._key_id}],
        }

    def _remember(self, digest: bytes, claims: Claims) -> None:
        if len(self._known) >= _REMEMBERED:
            # Other threads may remember at the same time; losing all is only slower.
            self._known.clear()
        self._known[digest] = claims

    def _checked(self, claims: dict[str, Any]) -> Claims:
        """Return what a token says after a look at everything but the time and the audience."""
        if claims["tid"] != self.tenant_id or claims["iss"] != self.issuer:
            raise TokenError(
                "InvalidAuthenticationTokenTenant",
                f"The access token is from the wrong issuer '{claims['iss']}'. It must match the "
                f"tenant '{self.issuer}' of this service.",
            )
        return Claims(
            client_id=str(claims["appid"]),
            tenant_id=self.tenant_id,
            audience=str(claims["aud"]),
            not_before=claims["nbf"],
            expires_at=claims["exp"],
            object_id=str(claims["oid"]),
        )

    def _check_audience(self, claims: Claims, accepted: Collection[str]) -> None:
        if claims.audience.rstrip("/") not in accepted:
            scopes = " or ".join(f"'{name}/.default'" for name in accepted)
            raise TokenError(
                "InvalidAuthenticationTokenAudience",
                f"The access token has been obtained for the wrong audience '{claims.audience}'. "
                f"Ask for the scope {scopes}.",
            )

    def _accepted(self) -> tuple[str, ...]:
        return (*_MANAGEMENT_AUDIENCES, self._base())

    def _decode(self, token: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=[_ALGORITHM],
                # Times and names are compared below: against the injected clock, and with Azure's
                # codes for each refusal.
                options={
                    "require": list(_REQUIRED_CLAIMS),
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_iss": False,
                    "verify_nbf": False,
                },
            )
        except jwt.InvalidTokenError as error:
            raise TokenError(
                "InvalidAuthenticationToken",
                f"The access token is invalid: {error}. Get a new one from this service.",
            ) from error
        return claims

    def _check_times(self, claims: Claims) -> None:
        now = self._clock.now().timestamp()
        if claims.expires_at <= now:
            raise TokenError(
                "ExpiredAuthenticationToken",
                "The access token expiry UTC time is earlier than the current UTC time. "
                "Get a new one.",
            )
        if claims.not_before > now + _SKEW_SECONDS:
            raise TokenError(
                "InvalidAuthenticationToken",
                "The access token is not valid yet: its 'nbf' lies in the future.",
            )
