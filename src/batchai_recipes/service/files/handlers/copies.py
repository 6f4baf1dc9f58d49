"""Operations that copy files."""

from batchai_recipes.service.files.answer import Answer, version_headers
from batchai_recipes.service.files.call import AdmittedCall
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.metadata import read_metadata
from batchai_recipes.service.files.nouns import Nouns

COPY_SOURCE = "x-ms-copy-source"


def copy_file(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Copy a file of this service; the copy is complete when the answer comes.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    call = admitted.call
    source = nouns.sources.locate(admitted, COPY_SOURCE, "r")
    known = nouns.copying.copy(
        source,
        admitted.address.location,
        read_metadata(call.cased_headers),
        nouns.guard(call),
        source_url=call.header(COPY_SOURCE).partition("?")[0],
        may_replace=admitted.grant.allows("w"),
    )
    headers = (
        ("x-ms-copy-id", known.entry.headers["x-ms-copy-id"]),
        ("x-ms-copy-status", "success"),
    )
    return Answer(202, (*version_headers(known), *headers))


def abort_copy(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Refuse: a copy is complete before anyone learns its id.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    nouns.files.properties(admitted.address.location)
    raise FileServiceError(
        ErrorCode.NO_PENDING_COPY_OPERATION, "No copy is under way; it has been completed."
    )
