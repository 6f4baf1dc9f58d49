"""Tokens: what is issued is valid, and nothing else."""

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from batchai_recipes.service.identity.certificates import ensure_signing_key
from batchai_recipes.service.identity.tokens import LIFETIME_SECONDS, TokenError, Tokens

MANAGEMENT = "https://management.azure.com"


def _refused(tokens: Tokens, token: str) -> str:
    with pytest.raises(TokenError) as caught:
        tokens.verify(token)
    return caught.value.code


@pytest.mark.parametrize("audience", [MANAGEMENT, f"{MANAGEMENT}/", "https://service.example"])
def test_an_issued_token_is_valid(tokens, clock, audience: str) -> None:
    """It says to whom, for what and until when it was issued."""
    token, seconds = tokens.issue("client", audience)
    claims = tokens.verify(token)
    assert (claims.client_id, claims.audience, seconds) == ("client", audience, LIFETIME_SECONDS)
    assert claims.expires_at == int(clock.now().timestamp()) + seconds


def test_a_token_ends(tokens, clock) -> None:
    """It is valid to the last second, by the clock that was given."""
    token, seconds = tokens.issue("client", MANAGEMENT)
    clock.move(seconds=seconds - 1)
    tokens.verify(token)
    clock.move(seconds=1)
    assert _refused(tokens, token) == "ExpiredAuthenticationToken"


def test_a_token_of_the_future_is_refused(tokens, clock) -> None:
    """Clocks may differ by minutes, not by more."""
    clock.move(minutes=10)
    token, _ = tokens.issue("client", MANAGEMENT)
    clock.move(minutes=-6)
    assert _refused(tokens, token) == "InvalidAuthenticationToken"
    clock.move(minutes=2)
    tokens.verify(token)


def test_another_audience_is_refused(tokens) -> None:
    """A token for storage does not open the management plane."""
    token, _ = tokens.issue("client", "https://storage.azure.com")
    assert _refused(tokens, token) == "InvalidAuthenticationTokenAudience"


def test_another_tenant_or_service_is_refused(tokens, signing_key, clock) -> None:
    """The same key does not make another issuer's tokens valid."""
    for base, tenant in (("https://service.example", "other"), ("https://other", tokens.tenant_id)):
        token, _ = Tokens(signing_key, lambda base=base: base, tenant, clock).issue("c", MANAGEMENT)
        assert _refused(tokens, token) == "InvalidAuthenticationTokenTenant"


def test_another_key_is_refused(tokens, clock, tmp_path) -> None:
    """Only the service's own signature counts."""
    other = Tokens(
        ensure_signing_key(tmp_path), lambda: "https://service.example", tokens.tenant_id, clock
    )
    token, _ = other.issue("client", MANAGEMENT)
    assert _refused(tokens, token) == "InvalidAuthenticationToken"


@pytest.mark.parametrize("missing", ["aud", "iss", "exp", "nbf", "tid", "appid", "oid"])
def test_a_missing_claim_is_refused(tokens, signing_key, missing: str) -> None:
    """A token that says less than all is none of ours."""
    token, _ = tokens.issue("client", MANAGEMENT)
    claims = jwt.decode(token, options={"verify_signature": False})
    del claims[missing]
    key = load_pem_private_key(signing_key, password=None)
    assert _refused(tokens, jwt.encode(claims, key, "RS256")) == "InvalidAuthenticationToken"


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "a.b.c.d", "ä.ö.ü", "." * 1000])
def test_what_is_no_token_is_refused(tokens, text: str) -> None:
    """Whatever it is."""
    assert _refused(tokens, text) == "InvalidAuthenticationToken"


def test_unsigned_and_otherwise_signed_tokens_are_refused(tokens) -> None:
    """Neither 'none' nor a symmetric algorithm is a way in."""
    token, _ = tokens.issue("client", MANAGEMENT)
    claims = jwt.decode(token, options={"verify_signature": False})
    for forged in (jwt.encode(claims, None, "none"), jwt.encode(claims, "k" * 32, "HS256")):
        assert _refused(tokens, forged) == "InvalidAuthenticationToken"


def test_a_changed_token_is_refused(tokens) -> None:
    """One changed character of the claims breaks the signature."""
    token, _ = tokens.issue("client", MANAGEMENT)
    header, claims, signature = token.split(".")
    changed = claims[:-5] + ("A" if claims[-5] != "A" else "B") + claims[-4:]
    assert _refused(tokens, f"{header}.{changed}.{signature}") == "InvalidAuthenticationToken"


def test_a_key_must_be_rsa(clock) -> None:
    """Another kind of key is a mistake of the caller."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(TypeError, match="RSA"):
        Tokens(pem, lambda: "https://x", "tenant", clock)
