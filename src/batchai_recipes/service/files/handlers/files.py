"""Operations on a file."""

import contextlib
import os
from typing import Final

from batchai_recipes.service.files.answer import Answer, FilePart, version_headers
from batchai_recipes.service.files.byte_range import MAXIMUM_LENGTH, ByteRange
from batchai_recipes.service.files.call import AdmittedCall, Call
from batchai_recipes.service.files.content_headers import DEFAULT_TYPE, read_content_headers
from batchai_recipes.service.files.content_md5 import MD5, check_body, md5_of
from batchai_recipes.service.files.disk_headers import disk_headers
from batchai_recipes.service.files.entries import Properties
from batchai_recipes.service.files.errors import invalid_header
from batchai_recipes.service.files.files import NewFile
from batchai_recipes.service.files.handlers.renaming import rename
from batchai_recipes.service.files.leases import LeaseChange
from batchai_recipes.service.files.metadata import read_metadata, write_metadata
from batchai_recipes.service.files.nouns import Nouns
from batchai_recipes.service.files.range_headers import wanted_range

_SIZE: Final = "x-ms-content-length"
_LARGEST_SIZE: Final = 4 * 2**40
_LEASES_SINCE: Final = "2019-02-02"
_DIGITS: Final = 20  # a longer number would only make Python count long
_WANTS_MD5: Final = "x-ms-range-get-content-md5"


def create_file(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Make the file, of zeros or with the bytes that the request carries.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    call = admitted.call
    kind = call.header("x-ms-type")
    if kind.lower() != "file":
        raise invalid_header("x-ms-type", kind, "it must be 'file'")
    size = _size(call)
    if len(admitted.body) > size:
        raise invalid_header(_SIZE, str(size), f"the body has {len(admitted.body)} bytes")
    digest = check_body(call.headers, admitted.body) if admitted.body else ()
    new = NewFile(
        size,
        admitted.body,
        read_content_headers(call.headers),
        read_metadata(call.cased_headers),
    )
    known = nouns.files.create(
        admitted.address.location,
        new,
        may_replace=admitted.grant.allows("w"),
        guard=nouns.guard(call),
    )
    return Answer(201, (*version_headers(known), *digest, *disk_headers(call, known)))


def get_file(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Return the file's bytes, all of them or a range.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    call = admitted.call
    wanted = wanted_range(call.headers)
    with_md5 = call.headers.get(_WANTS_MD5, "").lower() == "true"
    if with_md5 and wanted is None:
        raise invalid_header(_WANTS_MD5, "true", "it takes a range, in x-ms-range")
    with contextlib.ExitStack() as undo:
        file, known = nouns.files.open(admitted.address.location, nouns.guard(call))
        undo.callback(file.close)
        if wanted is None:
            undo.pop_all()  # the answer closes the file once it is sent
            whole = ByteRange(0, known.size - 1) if known.size else None
            return Answer(200, _file_headers(nouns, call, known), FilePart(file, whole))
        part = wanted.of_size(known.size)
        headers = (
            *_file_headers(nouns, call, known, ranged=True),
            ("Content-Range", f"bytes {part.start}-{part.end}/{known.size}"),
        )
        if not with_md5:
            undo.pop_all()
            return Answer(206, headers, FilePart(file, part))
        if part.length > MAXIMUM_LENGTH:
            raise invalid_header(_WANTS_MD5, "true", "the range must not be larger than 4 MiB")
        content = os.pread(file.fileno(), part.length, part.start)
        return Answer(206, (*headers, (MD5, md5_of(content))), content)


def get_file_properties(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Return the file's size, content headers and metadata.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    known = nouns.files.properties(admitted.address.location, nouns.guard(admitted.call))
    return Answer(200, _file_headers(nouns, admitted.call, known), length=known.size)


def get_file_metadata(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Return the file's metadata.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    known = nouns.files.properties(admitted.address.location, nouns.guard(admitted.call))
    return Answer(200, (*version_headers(known), *write_metadata(known.entry.metadata)))


def set_file_metadata(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Replace the file's metadata.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    metadata = read_metadata(admitted.call.cased_headers)
    known = nouns.files.set_metadata(
        admitted.address.location, metadata, nouns.guard(admitted.call)
    )
    return Answer(200, version_headers(known))


def set_file_properties(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Replace the file's content headers, change its size, or both.

    A request that names none of the content headers leaves them: clients resize so. One that names
    any sets them all.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    call = admitted.call
    size = _size(call) if _SIZE in call.headers else None
    headers = read_content_headers(call.headers) or None
    known = nouns.files.set_properties(
        admitted.address.location, headers=headers, size=size, guard=nouns.guard(call)
    )
    return Answer(200, (*version_headers(known), *disk_headers(call, known)))


def rename_file(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Give a file this name.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    return rename(nouns, admitted, "file")


def lease_file(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Acquire, change, release or break the lease on the file.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    result = LeaseChange(admitted.call.headers, nouns.clock.now(), infinite_only=True)
    known = nouns.files.change_lease(admitted.address.location, result.apply)
    return Answer(result.status, (*version_headers(known), *result.answer_headers))


def delete_file(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Delete the file.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    nouns.files.delete(admitted.address.location, nouns.guard(admitted.call))
    return Answer(202)


def _file_headers(
    nouns: Nouns, call: Call, known: Properties, *, ranged: bool = False
) -> tuple[tuple[str, str], ...]:
    stored = {"Content-Type": DEFAULT_TYPE, **known.entry.headers}
    if ranged and MD5 in stored:
        # Content-MD5 would be that of the range; the whole file's has a name of its own.
        stored["x-ms-content-md5"] = stored.pop(MD5)
    return (
        *version_headers(known),
        *stored.items(),
        ("Accept-Ranges", "bytes"),
        ("x-ms-type", "File"),
        *disk_headers(call, known),
        # Clients older than this fail at headers that they do not know.
        *(known.entry.lease.headers(nouns.clock.now()) if call.version >= _LEASES_SINCE else ()),
        *write_metadata(known.entry.metadata),
    )


def _size(call: Call) -> int:
    text = call.header(_SIZE)
    size = int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else -1
    if not 0 <= size <= _LARGEST_SIZE:
        raise invalid_header(_SIZE, text, f"use whole bytes, from 0 to {_LARGEST_SIZE}")
    return size
