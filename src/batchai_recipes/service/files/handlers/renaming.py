"""The operation Rename, of files and directories."""

from typing import Literal

from batchai_recipes.service.files.answer import Answer, version_headers
from batchai_recipes.service.files.call import AdmittedCall
from batchai_recipes.service.files.disk_headers import disk_headers
from batchai_recipes.service.files.nouns import Nouns
from batchai_recipes.service.files.renaming import RENAME_SOURCE


def rename(nouns: Nouns, admitted: AdmittedCall, kind: Literal["file", "directory"]) -> Answer:
    """Give a file or directory the name that the request is about.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
        kind: What the source must be.
    """
    call = admitted.call
    source = nouns.sources.locate(admitted, RENAME_SOURCE, "w", noun=kind)
    known = nouns.renaming.rename(
        source,
        admitted.address.location,
        kind,
        nouns.guard(call),
        replaces=call.headers.get("x-ms-file-rename-replace-if-exists", "").lower() == "true",
    )
    return Answer(200, (*version_headers(known), *disk_headers(call, known)))
