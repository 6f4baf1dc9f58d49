"""Verifying shared access signatures: those of a share or a file, and those of an account."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final

from attrs import frozen

from batchai_recipes.service.clock import Clock
from batchai_recipes.service.files.access_policies import AccessPolicies, AccessPolicy
from batchai_recipes.service.files.accounts import Accounts
from batchai_recipes.service.files.addressing import Address
from batchai_recipes.service.files.authentication import authentication_failed, known_account
from batchai_recipes.service.files.bearer import StorageTokens
from batchai_recipes.service.files.call import Call
from batchai_recipes.service.files.delegation_keys import DelegationKey, DelegationKeys
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError, invalid_parameter
from batchai_recipes.service.files.grants import AccountSasGrant, Grant, ServiceSasGrant
from batchai_recipes.service.files.sas import (
    OVERRIDES,
    account_string_to_sign,
    parse_time,
    service_string_to_sign,
)
from batchai_recipes.service.files.signing import is_signed

_OLDEST_VERSION: Final = "2015-04-05"


@frozen
class Delegation:
    """What signatures by user delegation keys are checked with.

    Args:
        keys: Makes the keys.
        tokens: Checks the token of a user that a signature is bound to, and tells who is there.
    """

    keys: DelegationKeys
    tokens: StorageTokens


class ServiceSasAuthenticator:
    """Verifies signatures for one share (``sr=s``) or one file (``sr=f``).

    Args:
        accounts: Whose keys count.
        policies: The stored access policies that a signature may refer to.
        clock: Tells whether a signature is valid yet, or still.
        delegation: What user delegation keys take; None where there are none.
    """

    def __init__(
        self,
        accounts: Accounts,
        policies: AccessPolicies,
        clock: Clock,
        *,
        delegation: Delegation | None = None,
    ) -> None:
        self._accounts = accounts
        self._policies = policies
        self._clock = clock
        self._delegation = delegation

    def authenticate(self, call: Call, address: Address) -> Grant | None:
        """Judge a request.

        Args:
            call: The request.
            address: What it is about.

        Returns:
            Yes: what the signature permits. Not mine: None.

        Raises:
            FileServiceError: No: the signature is wrong, or not for this time, place or protocol.
        """
        fields = _fields(call)
        if "sig" not in fields or "sr" not in fields:
            return None
        _check_version(fields)
        resource = fields["sr"]
        if resource not in {"s", "f"}:
            raise invalid_parameter("sr", resource, "it must be s, for a share, or f, for a file")
        below = f"/{'/'.join(filter(None, address.path.split('/')))}" if resource == "f" else ""
        text = service_string_to_sign(fields, f"/file/{address.account}/{address.share}{below}")
        if "skoid" in fields:
            self._check_delegated(call, address, fields, text)
        else:
            account = known_account(self._accounts, address.account)
            _check_signature(account.keys, fields, text)
        if "si" in fields:
            policy = self._policies.find(address.account, address.share, fields["si"])
            fields = _with_policy(fields, policy)
        _check_circumstances(call, fields, self._clock)
        overrides = {OVERRIDES[name]: fields[name] for name in OVERRIDES if name in fields}
        return ServiceSasGrant("f" if resource == "f" else "s", fields.get("sp", ""), overrides)

    def _check_delegated(
        self, call: Call, address: Address, fields: Mapping[str, str], text: str
    ) -> None:
        known_account(self._accounts, address.account)
        key = DelegationKey.of_sas(address.account, fields)
        delegation = self._delegation
        _check_signature(() if delegation is None else (delegation.keys.value(key),), fields, text)
        if "si" in fields:  # which is not signed in this form
            raise authentication_failed(
                "A SAS by a user delegation key refers to no stored access policy; leave si out.",
                f"si is {fields['si']!r}.",
            )
        key.check_time(self._clock.now())
        if delegation is None or not delegation.tokens.has_object(key.object_id):
            raise authentication_failed(
                "The principal that the user delegation key was given to has been removed.",
                f"skoid is {key.object_id!r}.",
            )
        bound = fields.get("sduoid", "")
        if bound or key.delegated_tenant_id:
            self._check_user(call, address, bound, key.delegated_tenant_id)

    def _check_user(self, call: Call, address: Address, user: str, tenant: str) -> None:
        """Make sure that a SAS for one user, or one tenant, comes with a token of that user."""
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if self._delegation is None or scheme.lower() != "bearer" or call.scheme != "https":
            raise authentication_failed(
                "The SAS is for one user; send that user's token too, by https.",
                f"sduoid is {user!r}, skdutid is {tenant!r}.",
            )
        claims = self._delegation.tokens.claims(token.strip(), address.account)
        if (user and claims.object_id != user) or (tenant and claims.tenant_id != tenant.lower()):
            raise authentication_failed(
                "The SAS is for another user than the token.",
                f"The token is of {claims.object_id!r} in tenant {claims.tenant_id!r}.",
            )


class AccountSasAuthenticator:
    """Verifies signatures for an account (``ss`` and ``srt``).

    Args:
        accounts: Whose keys count.
        clock: Tells whether a signature is valid yet, or still.
    """

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock

    def authenticate(self, call: Call, address: Address) -> Grant | None:
        """Judge a request.

        Args:
            call: The request.
            address: What it is about.

        Returns:
            Yes: what the signature permits. Not mine: None.

        Raises:
            FileServiceError: No: the signature is wrong, or not for this time, place, protocol or
                service.
        """
        fields = _fields(call)
        if "sig" not in fields:
            return None
        _check_version(fields)
        text = account_string_to_sign(fields, address.account)
        account = known_account(self._accounts, address.account)
        _check_signature(account.keys, fields, text)
        _check_circumstances(call, fields, self._clock)
        if "f" not in fields.get("ss", ""):
            raise FileServiceError(
                ErrorCode.AUTHORIZATION_SERVICE_MISMATCH,
                "The signature is not for the file service; that takes f in ss.",
            )
        return AccountSasGrant(fields.get("srt", ""), fields.get("sp", ""))


def _fields(call: Call) -> Mapping[str, str]:
    # The first value of each: what is signed and what is obeyed must be the same one.
    return {name: value for name, value in reversed(call.parameters) if value}


def _with_policy(fields: Mapping[str, str], policy: AccessPolicy | None) -> Mapping[str, str]:
    if policy is None:
        raise authentication_failed(
            "The signature refers to a stored access policy, and the share has none of that "
            "name. Put permissions (sp) and expiry (se) into the signature itself.",
            f"There is no access policy {fields['si']!r}.",
        )
    stored = {"sp": policy.permission, "st": policy.start, "se": policy.expiry}
    for name, value in stored.items():
        if value and name in fields:
            raise authentication_failed(
                "A field stands in the signature and in the stored access policy that it refers "
                "to; it may stand in one of them only.",
                f"The access policy {policy.id!r} has {name} too.",
            )
    return {**fields, **{name: value for name, value in stored.items() if value}}


def _check_version(fields: Mapping[str, str]) -> None:
    version = fields.get("sv", "")
    if parse_time(version) is None or version < _OLDEST_VERSION:
        raise invalid_parameter("sv", version, f"it must be a date, {_OLDEST_VERSION} or later")


def _check_signature(keys: Iterable[str], fields: Mapping[str, str], text: str) -> None:
    if not is_signed(keys, [text], fields["sig"]):
        raise authentication_failed(
            "The signature (sig) is not one by a key of the account, or by the user delegation key "
            "that it names. Compare the string in "
            "AuthenticationErrorDetail with the one that you signed; if they are equal, the key is "
            "wrong.",
            f"Signature did not match. String to sign used was {text}",
        )


def _check_circumstances(call: Call, fields: Mapping[str, str], clock: Clock) -> None:
    now = clock.now()
    expiry, start = parse_time(fields.get("se", "")), parse_time(fields.get("st", ""))
    if expiry is None or ("st" in fields and start is None):
        raise authentication_failed(
            "The signature needs an expiry (se), and times must read YYYY-MM-DDThh:mm:ssZ.",
            f"se is {fields.get('se', '')!r}, st is {fields.get('st', '')!r}.",
        )
    if now >= expiry or (start is not None and now < start):
        raise authentication_failed(
            "The signature is not valid now; make a new one.",
            f"Signature not valid in the specified time frame: Start "
            f"[{fields.get('st', '')}] - Expiry [{fields['se']}] - Current "
            f"[{now:%Y-%m-%dT%H:%M:%SZ}]",
        )
    if "sip" in fields and not _within(call.client_ip, fields["sip"]):
        raise FileServiceError(
            ErrorCode.AUTHORIZATION_SOURCE_IP_MISMATCH,
            "The signature is not for the address that the request comes from.",
            details={"SourceIP": call.client_ip},
        )
    if "spr" in fields and call.scheme not in fields["spr"].split(","):
        raise FileServiceError(
            ErrorCode.AUTHORIZATION_PROTOCOL_MISMATCH,
            f"The signature is for {fields['spr']} and the request came by {call.scheme}; sign "
            "with spr=https,http, or without spr.",
        )


def _within(client: str, allowed: str) -> bool:
    first, _, last = allowed.partition("-")
    try:
        address = ipaddress.ip_address(client)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        low, high = ipaddress.IPv4Address(first), ipaddress.IPv4Address(last or first)
    except ValueError:
        return False
    return isinstance(address, ipaddress.IPv4Address) and low <= address <= high
