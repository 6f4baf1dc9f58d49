"""Stored access policies: what a SAS may refer to by name, so that it can be revoked.

Source:
    https://learn.microsoft.com/rest/api/storageservices/define-stored-access-policy
"""

import json
from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element

from attrs import asdict, frozen

from batchai_recipes.service.files.sas import parse_time
from batchai_recipes.service.files.xml_input import invalid_document, read_xml
from batchai_recipes.service.store import Store

MAXIMUM_POLICIES: Final = 5
_MAXIMUM_ID: Final = 64
_ROOT: Final = "SignedIdentifiers"


@frozen
class AccessPolicy:
    """One stored access policy.

    Args:
        id: Its name, by which a SAS refers to it.
        start: When it begins to permit; empty where the SAS says so.
        expiry: When it ceases to; empty where the SAS says so.
        permission: What it permits; empty where the SAS says so.
    """

    id: str
    start: str = ""
    expiry: str = ""
    permission: str = ""


class AccessPolicies:
    """The access policies of all shares, for reading.

    Args:
        store: Where they are recorded.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, account: str, share: str, policy_id: str) -> AccessPolicy | None:
        """Return a policy, or None where there is none of that name.

        Args:
            account: The storage account.
            share: The share.
            policy_id: The policy's name.
        """
        with self._store.read() as records:
            row = records.execute(
                "SELECT policies FROM shares WHERE account = ? AND name = ?", (account, share)
            ).fetchone()
        policies = () if row is None else load_policies(row["policies"])
        return next((policy for policy in policies if policy.id == policy_id), None)


def load_policies(text: str) -> tuple[AccessPolicy, ...]:
    """Read policies as they are stored.

    Args:
        text: The JSON of :func:`dump_policies`.
    """
    return tuple(AccessPolicy(**fields) for fields in json.loads(text))


def dump_policies(policies: Sequence[AccessPolicy]) -> str:
    """Return policies in the form in which they are stored.

    Args:
        policies: The policies.
    """
    return json.dumps([asdict(policy) for policy in policies])


def parse_policies(body: bytes) -> tuple[AccessPolicy, ...]:
    """Read the document that a client sets policies with.

    Args:
        body: The document; an empty one, or none at all, for no policies.

    Raises:
        FileServiceError: It is no such document, or has too many policies.

    Example:
        >>> parse_policies(b"<SignedIdentifiers />")
        ()
    """
    if not body:
        return ()
    policies = tuple(
        _policy(element) for element in read_xml(body, _ROOT).iterfind("SignedIdentifier")
    )
    if len(policies) > MAXIMUM_POLICIES:
        raise invalid_document(_ROOT, f"a share has at most {MAXIMUM_POLICIES} access policies")
    if len({policy.id for policy in policies}) < len(policies):
        raise invalid_document(_ROOT, "two of the access policies have the same Id")
    return policies


def _policy(element: Element) -> AccessPolicy:
    policy = AccessPolicy(
        id=element.findtext("Id", ""),
        start=(element.findtext("AccessPolicy/Start") or "").strip(),
        expiry=(element.findtext("AccessPolicy/Expiry") or "").strip(),
        permission=(element.findtext("AccessPolicy/Permission") or "").strip(),
    )
    if not 1 <= len(policy.id) <= _MAXIMUM_ID:
        raise invalid_document(_ROOT, f"each Id has 1 to {_MAXIMUM_ID} characters")
    for moment in (policy.start, policy.expiry):
        if moment and parse_time(moment) is None:
            raise invalid_document(_ROOT, "Start and Expiry must read YYYY-MM-DDThh:mm:ssZ")
    return policy
