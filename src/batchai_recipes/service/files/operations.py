"""The table of operations: which request is which, and what it needs.

Source:
    https://learn.microsoft.com/rest/api/storageservices/operations-on-the-account--file-service-
"""

from collections.abc import Callable
from typing import Final, Literal

from attrs import frozen

from batchai_recipes.service.files.addressing import Address, snapshot_time
from batchai_recipes.service.files.answer import Answer
from batchai_recipes.service.files.byte_range import MAXIMUM_LENGTH
from batchai_recipes.service.files.call import AdmittedCall, Call
from batchai_recipes.service.files.errors import (
    ErrorCode,
    FileServiceError,
    invalid_parameter,
    not_emulated,
)
from batchai_recipes.service.files.grants import Needs, Noun, ResourceType
from batchai_recipes.service.files.handlers import (
    copies,
    directories,
    files,
    handles,
    permissions,
    ranges,
    service,
    shares,
)
from batchai_recipes.service.files.nouns import Nouns

Verb = Literal["GET", "HEAD", "PUT", "POST", "DELETE"]
Handler = Callable[[Nouns, AdmittedCall], Answer]

_LARGEST_DOCUMENT: Final = 64 * 1024
_READ: Final[tuple[Verb, ...]] = ("GET", "HEAD")


@frozen
class Operation:
    """One operation of Azure Files.

    Args:
        name: Azure's name of it.
        noun: What it is about.
        verbs: The HTTP methods that ask for it.
        comp: The query parameter ``comp`` that asks for it; empty for none.
        handler: Carries it out.
        resource_type: What an account SAS must include.
        letters: The permissions of a SAS, any one of which is enough.
        body_limit: How large a body may be, in bytes; 0 where a body means nothing.
        token: Whether nothing but a bearer token will do.
        of_snapshots: Whether it can be about a snapshot of a share.
    """

    name: str
    noun: Noun
    verbs: tuple[Verb, ...]
    comp: str
    handler: Handler
    resource_type: ResourceType
    letters: str
    body_limit: int = 0
    token: bool = False
    of_snapshots: bool = False

    @property
    def is_download(self) -> bool:
        """Whether its answer is the one whose headers a SAS may set."""
        return self.noun == "file" and self.comp == "" and self.letters == "r"

    @property
    def changes(self) -> bool:
        """Whether it may change files or directories of a share."""
        return self.noun in {"directory", "file"} and self.verbs[0] not in _READ

    @property
    def needs(self) -> Needs:
        """What the operation needs of a signature."""
        return Needs(self.noun, self.resource_type, self.letters, self.token)


# fmt: off
OPERATIONS: Final = (
    Operation("List Shares", "service", ("GET",), "list", service.list_shares, "s", "l"),
    Operation("Get File Service Properties", "service", ("GET",), "properties",
              service.get_service_properties, "s", "r"),
    Operation("Set File Service Properties", "service", ("PUT",), "properties",
              service.set_service_properties, "s", "w", body_limit=_LARGEST_DOCUMENT),
    Operation("Get User Delegation Key", "service", ("POST",), "userdelegationkey",
              service.get_user_delegation_key, "s", "", body_limit=_LARGEST_DOCUMENT, token=True),

    Operation("Create Share", "share", ("PUT",), "", shares.create_share, "c", "cw"),
    Operation("Get Share Properties", "share", _READ, "", shares.get_share_properties, "c", "r",
              of_snapshots=True),
    Operation("Set Share Properties", "share", ("PUT",), "properties",
              shares.set_share_properties, "c", "w"),
    Operation("Get Share Metadata", "share", _READ, "metadata",
              shares.get_share_metadata, "c", "r",
              of_snapshots=True),
    Operation("Set Share Metadata", "share", ("PUT",), "metadata",
              shares.set_share_metadata, "c", "w"),
    Operation("Get Share Stats", "share", ("GET",), "stats", shares.get_share_stats, "c", "r"),
    # With a key only, as in Azure: no SAS has a letter for them.
    Operation("Get Share ACL", "share", _READ, "acl", shares.get_share_acl, "c", ""),
    Operation("Set Share ACL", "share", ("PUT",), "acl", shares.set_share_acl, "c", "",
              body_limit=_LARGEST_DOCUMENT),
    Operation("Create Permission", "share", ("PUT",), "filepermission",
              permissions.create_permission, "c", "w", body_limit=_LARGEST_DOCUMENT),
    Operation("Get Permission", "share", ("GET",), "filepermission",
              permissions.get_permission, "c", "r"),
    Operation("Snapshot Share", "share", ("PUT",), "snapshot", shares.snapshot_share, "c", "cw"),
    Operation("Lease Share", "share", ("PUT",), "lease", shares.lease_share, "c", "wd"),
    Operation("Delete Share", "share", ("DELETE",), "", shares.delete_share, "c", "d",
              of_snapshots=True),

    Operation("Create Directory", "directory", ("PUT",), "",
              directories.create_directory, "o", "cw"),
    Operation("Get Directory Properties", "directory", _READ, "",
              directories.get_directory_properties, "o", "r",
              of_snapshots=True),
    Operation("Get Directory Metadata", "directory", _READ, "metadata",
              directories.get_directory_properties, "o", "r",
              of_snapshots=True),
    Operation("Set Directory Metadata", "directory", ("PUT",), "metadata",
              directories.set_directory_metadata, "o", "w"),
    Operation("Set Directory Properties", "directory", ("PUT",), "properties",
              directories.set_directory_properties, "o", "w"),
    Operation("List Directories and Files", "directory", ("GET",), "list",
              directories.list_directory, "c", "l",
              of_snapshots=True),
    Operation("Rename Directory", "directory", ("PUT",), "rename",
              directories.rename_directory, "o", "w"),
    Operation("Delete Directory", "directory", ("DELETE",), "",
              directories.delete_directory, "o", "d"),

    Operation("Create File", "file", ("PUT",), "", files.create_file, "o", "cw",
              body_limit=MAXIMUM_LENGTH),
    Operation("Get File", "file", ("GET",), "", files.get_file, "o", "r",
              of_snapshots=True),
    Operation("Get File Properties", "file", ("HEAD",), "", files.get_file_properties, "o", "r",
              of_snapshots=True),
    Operation("Set File Properties", "file", ("PUT",), "properties",
              files.set_file_properties, "o", "w"),
    Operation("Get File Metadata", "file", _READ, "metadata", files.get_file_metadata, "o", "r",
              of_snapshots=True),
    Operation("Set File Metadata", "file", ("PUT",), "metadata", files.set_file_metadata, "o", "w"),
    Operation("Put Range", "file", ("PUT",), "range", ranges.put_range, "o", "w",
              body_limit=MAXIMUM_LENGTH),
    Operation("List Ranges", "file", ("GET",), "rangelist", ranges.list_ranges, "o", "r",
              of_snapshots=True),
    Operation("Rename File", "file", ("PUT",), "rename", files.rename_file, "o", "w"),
    Operation("Lease File", "file", ("PUT",), "lease", files.lease_file, "o", "w"),
    Operation("List Handles", "file", ("GET",), "listhandles", handles.list_handles, "o", "l",
              of_snapshots=True),
    Operation("Force Close Handles", "file", ("PUT",), "forceclosehandles",
              handles.force_close_handles, "o", "w"),
    Operation("Abort Copy File", "file", ("PUT",), "copy", copies.abort_copy, "o", "w"),
    Operation("Delete File", "file", ("DELETE",), "", files.delete_file, "o", "d"),
)
# fmt: on

_OPERATIONS_BY_ADDRESS: Final = {
    (noun, comp): tuple(one for one in OPERATIONS if (one.noun, one.comp) == (noun, comp))
    for noun, comp in {(one.noun, one.comp) for one in OPERATIONS}
}

# Told from Create File by a header only.
COPY_FILE: Final = Operation("Copy File", "file", ("PUT",), "", copies.copy_file, "o", "cw")

# What Azure Files has and this release has not. A request for it must not pass for another one.
_NOT_EMULATED: Final = {
    "undelete": "restoring deleted shares",
}


def recognise(call: Call, address: Address) -> Operation:
    """Find out which operation a request asks for.

    Args:
        call: The request.
        address: What it is about.

    Raises:
        FileServiceError: It asks for none that this service has.
    """
    _refuse_not_emulated(call)
    noun, comp = _noun(call, address), call.parameter("comp").lower()
    if (noun, comp, call.verb) == ("file", "", "PUT") and copies.COPY_SOURCE in call.headers:
        return COPY_FILE
    alike = _OPERATIONS_BY_ADDRESS.get((noun, comp), ())
    for operation in alike:
        if call.verb in operation.verbs:
            return operation
    if alike or not comp:
        allowed = sorted({verb for operation in alike for verb in operation.verbs})
        raise FileServiceError(
            ErrorCode.UNSUPPORTED_HTTP_VERB,
            f"There is no operation {call.verb} on this {noun}"
            + (f" with comp={comp}." if comp else "."),
            headers={"Allow": ", ".join(allowed)},
        )
    known = sorted({operation.comp for operation in OPERATIONS if operation.noun == noun} - {""})
    raise invalid_parameter("comp", comp, f"on a {noun} it may be {', '.join(known)}")


def snapshot_of(call: Call, operation: Operation) -> str:
    """Return the time that names the snapshot that a request is about; empty for none.

    Args:
        call: The request.
        operation: What it asks for.

    Raises:
        FileServiceError: It is no time, or the operation is for no snapshot.
    """
    text = call.parameter("sharesnapshot")
    if not text:
        return ""
    if not operation.of_snapshots:
        raise FileServiceError(
            ErrorCode.SHARE_SNAPSHOT_OPERATION_NOT_SUPPORTED,
            f"A snapshot can be read and deleted; {operation.name} is for the share itself. Send "
            "no sharesnapshot.",
        )
    return snapshot_time(text)


_HANDLES: Final = {"listhandles", "forceclosehandles"}


def _noun(call: Call, address: Address) -> Noun:
    restype = call.parameter("restype").lower()
    if address.share and call.parameter("comp").lower() in _HANDLES:
        return "file"  # clients ask so of directories too, the root among them
    if not address.share:
        if restype in {"", "service"}:
            return "service"
        raise invalid_parameter("restype", restype, "the address names no share")
    if restype == "directory":
        return "directory"
    if restype == "share" and not address.path:
        return "share"
    if restype == "" and address.path:
        return "file"
    expected = "absent, for a file, or 'directory'" if address.path else "'share' or 'directory'"
    raise invalid_parameter("restype", restype, f"for this address it must be {expected}")


def _refuse_not_emulated(call: Call) -> None:
    comp = call.parameter("comp").lower()
    if comp in _NOT_EMULATED:
        raise not_emulated(_NOT_EMULATED[comp])
    if call.parameter("restype").lower() in {"symboliclink", "hardlink"}:
        raise not_emulated("links over NFS")
