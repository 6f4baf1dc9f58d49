"""User delegation keys: what someone with a token signs a SAS with, in place of an account key.

A key is not kept: it follows from its fields and a secret of the service, and is made anew to check
a signature by it.

Source:
    https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key
    https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from xml.etree.ElementTree import Element

from attrs import astuple, frozen

from batchai_recipes.service.clock import Clock
from batchai_recipes.service.files.authentication import authentication_failed
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.sas import parse_time

LONGEST: Final = timedelta(days=7)
_PARAMETERS: Final = ("skoid", "sktid", "skt", "ske", "sks", "skv", "skdutid")
_SERVICE: Final = "f"
_FORM: Final = "%Y-%m-%dT%H:%M:%SZ"


@frozen
class DelegationKey:
    """What a user delegation key is for.

    Args:
        account: The storage account.
        object_id: Whose token asked for it.
        tenant_id: The tenant of that principal.
        start: When it begins to be valid.
        expiry: When it ceases to.
        service: The storage service, ``f``.
        version: The version of the protocol that made it.
        delegated_tenant_id: The only tenant whose users may use it; empty for any.
    """

    account: str
    object_id: str
    tenant_id: str
    start: str
    expiry: str
    service: str
    version: str
    delegated_tenant_id: str = ""

    @classmethod
    def of_sas(cls, account: str, fields: Mapping[str, str]) -> "DelegationKey":
        """Read which key a SAS says that it is signed with.

        Args:
            account: The storage account.
            fields: The parameters of the SAS.
        """
        return cls(account, *(fields.get(name, "") for name in _PARAMETERS))

    def check_time(self, now: datetime) -> None:
        """Make sure that the key is valid.

        Args:
            now: The time of day.

        Raises:
            FileServiceError: It is not, yet or any more.
        """
        start, expiry = parse_time(self.start), parse_time(self.expiry)
        if start is None or expiry is None or not start <= now < expiry:
            raise authentication_failed(
                "The user delegation key that the SAS is signed with is not valid now; get a new "
                "one.",
                f"Key start [{self.start}] - Key expiry [{self.expiry}] - Current [{now:{_FORM}}]",
            )


class DelegationKeys:
    """Makes user delegation keys.

    Args:
        secret: What they follow from; whoever has it has them all.
        clock: Tells the time.
    """

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = hashlib.sha256(b"user delegation keys\n" + secret).digest()
        self._clock = clock

    def value(self, key: DelegationKey) -> str:
        """Return a key, base64.

        Args:
            key: What it is for.
        """
        text = "\n".join(astuple(key))
        digest = hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return base64.b64encode(digest.digest()).decode()

    def wanted(
        self, document: Element, *, account: str, object_id: str, tenant_id: str, version: str
    ) -> DelegationKey:
        """Read what key a client asks for.

        Args:
            document: The document ``KeyInfo``.
            account: The storage account.
            object_id: Whose token asks.
            tenant_id: The tenant of that principal.
            version: The version of the protocol.

        Raises:
            FileServiceError: There can be no such key.
        """
        now = self._clock.now()
        start_text = (document.findtext("Start") or "").strip()
        start = parse_time(start_text) if start_text else now
        expiry = parse_time((document.findtext("Expiry") or "").strip())
        if start is None or expiry is None:
            raise _invalid("Expiry is required; Start and Expiry must read YYYY-MM-DDThh:mm:ssZ")
        if not start < expiry or not now < expiry:
            raise _invalid("Expiry must be after Start and in the future")
        if expiry > now + LONGEST:
            raise _invalid(f"Expiry must be within {LONGEST.days} days")
        return DelegationKey(
            account,
            object_id,
            tenant_id,
            start.strftime(_FORM),
            expiry.strftime(_FORM),
            _SERVICE,
            version,
            (document.findtext("DelegatedUserTid") or "").strip(),
        )


def _invalid(reason: str) -> FileServiceError:
    return FileServiceError(
        ErrorCode.INVALID_XML_NODE_VALUE, f"The document KeyInfo cannot be used: {reason}."
    )
