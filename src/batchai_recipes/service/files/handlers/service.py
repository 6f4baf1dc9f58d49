"""Operations on the file service of an account."""

from batchai_recipes.service.files.answer import Answer, xml_answer
from batchai_recipes.service.files.call import AdmittedCall
from batchai_recipes.service.files.errors import not_emulated
from batchai_recipes.service.files.grants import TokenGrant
from batchai_recipes.service.files.listing import PageRequest
from batchai_recipes.service.files.nouns import Nouns
from batchai_recipes.service.files.xml_documents import (
    delegation_key_document,
    shares_document,
)
from batchai_recipes.service.files.xml_input import read_xml


def list_shares(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """List the shares of the account.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    wanted = PageRequest.of(admitted.call)
    include = admitted.call.parameter("include").lower().split(",")
    name, _, snapshot = wanted.after.partition("\n")
    found = nouns.shares.list(
        admitted.address.account,
        prefix=wanted.prefix,
        after=(name, snapshot),
        limit=wanted.limit + 1,
        with_snapshots="snapshots" in include,
    )
    shares = found[: wanted.limit]
    page = wanted.page("\n".join(shares[-1].place) if len(found) > wanted.limit else None)
    return xml_answer(
        shares_document(admitted.endpoint, shares, page, with_metadata="metadata" in include)
    )


def get_user_delegation_key(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Make a key that signs a SAS, for someone with a token.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    keys, grant = nouns.delegation_keys, admitted.grant
    if keys is None or not isinstance(grant, TokenGrant):
        raise not_emulated("user delegation keys, since it was started without tokens")
    key = keys.wanted(
        read_xml(bytes(admitted.body), "KeyInfo"),
        account=admitted.address.account,
        object_id=grant.object_id,
        tenant_id=grant.tenant_id,
        version=admitted.call.version,
    )
    answer = xml_answer(delegation_key_document(key, keys.value(key)))
    return answer.with_headers({"Cache-Control": "no-store"})


def get_service_properties(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Return the properties of the service.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    return xml_answer(nouns.service_properties.document(admitted.address.account))


def set_service_properties(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Replace some or all of the properties of the service.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    nouns.service_properties.set(admitted.address.account, bytes(admitted.body))
    return Answer(202)
