"""Operations on ranges of a file."""

from collections.abc import Sequence
from typing import Final

from batchai_recipes.service.files.addressing import snapshot_time
from batchai_recipes.service.files.answer import Answer, version_headers, xml_answer
from batchai_recipes.service.files.byte_range import MAXIMUM_LENGTH, ByteRange, RangeRequest
from batchai_recipes.service.files.call import AdmittedCall
from batchai_recipes.service.files.content_md5 import MD5, check_body, md5_of
from batchai_recipes.service.files.errors import invalid_header
from batchai_recipes.service.files.handlers.copies import COPY_SOURCE
from batchai_recipes.service.files.nouns import Nouns
from batchai_recipes.service.files.range_headers import RANGE, target_range, wanted_range
from batchai_recipes.service.files.xml_documents import ranges_document

_SOURCE_RANGE: Final = "x-ms-source-range"
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
    guard = nouns.guard(call)
    if action.lower() == "clear":
        if admitted.body or "content-md5" in call.headers:
            raise invalid_header(_WRITE, action, "clearing takes no body and no Content-MD5")
        return Answer(201, version_headers(nouns.ranges.clear(location, target, guard)))
    if action.lower() != "update":
        raise invalid_header(_WRITE, action, "it must be 'update' or 'clear'")
    if COPY_SOURCE in call.headers:
        return _put_range_from_url(nouns, admitted, target)
    if target.length != len(admitted.body):
        raise invalid_header(
            RANGE,
            call.headers.get(RANGE, ""),
            f"the range has {target.length} bytes and the body {len(admitted.body)}",
        )
    digest = check_body(call.headers, admitted.body)
    known = nouns.ranges.write(location, target, admitted.body, guard)
    return Answer(201, (*version_headers(known), *digest))


def _put_range_from_url(nouns: Nouns, admitted: AdmittedCall, target: ByteRange) -> Answer:
    call = admitted.call
    text = call.header(_SOURCE_RANGE)
    wanted = RangeRequest.parse(text)
    if wanted is None or wanted.start is None or wanted.end is None:
        raise invalid_header(_SOURCE_RANGE, text, "it must read bytes=START-END")
    source_range = ByteRange(wanted.start, wanted.end)
    if source_range.length != target.length or target.length > MAXIMUM_LENGTH:
        raise invalid_header(
            _SOURCE_RANGE, text, "it must be as long as x-ms-range, and at most 4 MiB"
        )
    if admitted.body:
        raise invalid_header(COPY_SOURCE, "", "a range from a URL takes no body")
    source = nouns.sources.locate(admitted, COPY_SOURCE, "r")
    content = nouns.copying.read(source, source_range)
    known = nouns.ranges.write(admitted.address.location, target, content, nouns.guard(call))
    return Answer(201, (*version_headers(known), (MD5, md5_of(content))))


def list_ranges(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """List the ranges of the file that hold data, or that changed since a snapshot.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    call, location = admitted.call, admitted.address.location
    within, guard = wanted_range(call.headers), nouns.guard(call)
    previous = call.parameter("prevsharesnapshot")
    cleared: Sequence[ByteRange] = ()
    if previous:
        found, cleared, known = nouns.ranges.changes(
            location, snapshot_time(previous), within, guard
        )
    else:
        found, known = nouns.ranges.list(location, within, guard)
    headers = (*version_headers(known), ("x-ms-content-length", str(known.size)))
    return xml_answer(ranges_document(found, cleared), headers)
