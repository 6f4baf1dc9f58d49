"""Operations on ranges of a file."""

from typing import Final

from batchai_recipes.service.files.answer import Answer, version_headers, xml_answer
from batchai_recipes.service.files.call import AdmittedCall
from batchai_recipes.service.files.content_md5 import check_body
from batchai_recipes.service.files.errors import invalid_header
from batchai_recipes.service.files.nouns import Nouns
from batchai_recipes.service.files.range_headers import RANGE, target_range, wanted_range
from batchai_recipes.service.files.xml_documents import ranges_document

_WRITE: Final = "x-ms-write"


def put_range(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Write a range of the file, or clear one.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    call = admitted.call
    target = target_range(call.headers)
    action = call.header(_WRITE)
    location = admitted.address.location
    if action.lower() == "clear":
        if admitted.body or "content-md5" in call.headers:
            raise invalid_header(_WRITE, action, "clearing takes no body and no Content-MD5")
        return Answer(201, version_headers(nouns.ranges.clear(location, target)))
    if action.lower() != "update":
        raise invalid_header(_WRITE, action, "it must be 'update' or 'clear'")
    if target.length != len(admitted.body):
        raise invalid_header(
            RANGE,
            call.headers.get(RANGE, ""),
            f"the range has {target.length} bytes and the body {len(admitted.body)}",
        )
    digest = check_body(call.headers, admitted.body)
    known = nouns.ranges.write(location, target, admitted.body)
    return Answer(201, (*version_headers(known), *digest))


def list_ranges(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """List the ranges of the file that hold data.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    found, known = nouns.ranges.list(admitted.address.location, wanted_range(admitted.call.headers))
    headers = (*version_headers(known), ("x-ms-content-length", str(known.size)))
    return xml_answer(ranges_document(found), headers)
