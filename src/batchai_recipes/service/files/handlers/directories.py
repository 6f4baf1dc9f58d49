"""Operations on a directory of a share."""

from batchai_recipes.service.files.answer import Answer, version_headers, xml_answer
from batchai_recipes.service.files.call import AdmittedCall
from batchai_recipes.service.files.disk_headers import disk_headers
from batchai_recipes.service.files.handlers.renaming import rename
from batchai_recipes.service.files.listing import PageRequest
from batchai_recipes.service.files.metadata import read_metadata, write_metadata
from batchai_recipes.service.files.nouns import Nouns
from batchai_recipes.service.files.xml_documents import directory_document


def create_directory(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Make the directory.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    metadata = read_metadata(admitted.call.cased_headers)
    known = nouns.directories.create(admitted.address.location, metadata)
    return Answer(201, (*version_headers(known), *disk_headers(admitted.call, known)))


def rename_directory(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Give a directory this name.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    return rename(nouns, admitted, "directory")


def get_directory_properties(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Return the directory's properties and metadata.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    known = nouns.directories.properties(admitted.address.location, nouns.guard(admitted.call))
    headers = (
        *version_headers(known),
        *disk_headers(admitted.call, known),
        *write_metadata(known.entry.metadata),
    )
    return Answer(200, headers)


def set_directory_metadata(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Replace the directory's metadata.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    metadata = read_metadata(admitted.call.cased_headers)
    known = nouns.directories.set_metadata(
        admitted.address.location, metadata, nouns.guard(admitted.call)
    )
    return Answer(200, version_headers(known))


def set_directory_properties(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Take the SMB properties that a client sets; nothing here keeps them.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    known = nouns.directories.touch(admitted.address.location, nouns.guard(admitted.call))
    return Answer(200, (*version_headers(known), *disk_headers(admitted.call, known)))


def list_directory(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """List the directory's files and directories.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    location = admitted.address.location
    wanted = PageRequest.of(admitted.call)
    include = frozenset(filter(None, admitted.call.parameter("include").lower().split(",")))
    found = nouns.directories.list(
        location,
        prefix=wanted.prefix,
        after=wanted.after,
        limit=wanted.limit + 1,
        described=bool(include),
    )
    entries = found[: wanted.limit]
    page = wanted.page(entries[-1].name if len(found) > wanted.limit else None)
    return xml_answer(
        directory_document(admitted.endpoint, location, entries, page, include=include)
    )


def delete_directory(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Delete the directory, which must be empty.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    nouns.directories.delete(admitted.address.location, nouns.guard(admitted.call))
    return Answer(202)
