"""The XML documents that answers carry.

Source:
    https://learn.microsoft.com/rest/api/storageservices/list-directories-and-files
    https://learn.microsoft.com/rest/api/storageservices/list-shares2
    https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2
"""

import re
import stat
from collections.abc import Collection, Mapping, Sequence
from email.utils import format_datetime
from typing import Final
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, tostring

from attrs import frozen

from batchai_recipes.service.files.access_policies import AccessPolicy
from batchai_recipes.service.files.byte_range import ByteRange
from batchai_recipes.service.files.delegation_keys import DelegationKey
from batchai_recipes.service.files.directories import Listed
from batchai_recipes.service.files.entries import Properties
from batchai_recipes.service.files.paths import Location
from batchai_recipes.service.files.share import Share
from batchai_recipes.service.files.stamps import long_timestamp, moment_of

_UNWRITABLE: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNWRITABLE_IN_NAMES: Final = re.compile("[^\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|^ | $")
_ELEMENT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@frozen
class Page:
    """What a client asked to see of a listing, and how it goes on.

    Args:
        prefix: What the names start with.
        marker: Where the page starts, as the client sent it.
        limit: How many entries at most.
        next_marker: Where the next page starts; empty on the last one.
    """

    prefix: str
    marker: str
    limit: int
    next_marker: str


def error_document(code: str, message: str, details: Mapping[str, str]) -> bytes:
    """Write the document of a refusal.

    Args:
        code: Azure's code.
        message: What happened and what to do.
        details: More elements by name.
    """
    root = Element("Error")
    _add(root, "Code", code)
    _add(root, "Message", message)
    for name, value in details.items():
        _add(root, name, value)
    return _write(root)


def shares_document(
    endpoint: str, shares: Sequence[Share], page: Page, *, with_metadata: bool
) -> bytes:
    """Write a listing of shares.

    Args:
        endpoint: The account's address.
        shares: The shares of the page.
        page: Which page it is.
        with_metadata: Whether to include metadata.
    """
    root = Element("EnumerationResults", {"ServiceEndpoint": endpoint})
    _add_page(root, page)
    listing = SubElement(root, "Shares")
    for share in shares:
        element = SubElement(listing, "Share")
        _add(element, "Name", share.name)
        if share.snapshot:
            _add(element, "Snapshot", share.snapshot)
        properties = SubElement(element, "Properties")
        _add(properties, "Last-Modified", format_datetime(share.modified_at, usegmt=True))
        _add(properties, "Etag", share.etag)
        _add(properties, "Quota", str(share.quota_gib))
        if with_metadata:
            metadata = SubElement(element, "Metadata")
            for name, value in share.metadata.items():
                # A header's name can hold what an element's cannot; Azure allows identifiers only.
                if _ELEMENT_NAME.fullmatch(name):
                    _add(metadata, name, value)
    _add(root, "NextMarker", page.next_marker)
    return _write(root)


def directory_document(
    endpoint: str,
    directory: Location,
    entries: Sequence[Listed],
    page: Page,
    *,
    include: Collection[str],
) -> bytes:
    """Write a listing of a directory.

    Args:
        endpoint: The account's address.
        directory: Where the directory is.
        entries: The entries of the page.
        page: Which page it is.
        include: What to tell of each entry beside its size, in lower case.
    """
    root = Element(
        "EnumerationResults",
        {
            "ServiceEndpoint": endpoint,
            "ShareName": directory.share,
            **({"ShareSnapshot": directory.snapshot} if directory.snapshot else {}),
            "DirectoryPath": _text(str(directory.path)),
        },
    )
    _add_page(root, page)
    listing = SubElement(root, "Entries")
    for entry in entries:
        element = SubElement(listing, "Directory" if entry.is_directory else "File")
        _add_name(element, entry.name)
        # Newer clients fail where a directory has no Properties, even empty ones.
        properties = SubElement(element, "Properties")
        if entry.size is not None:
            _add(properties, "Content-Length", str(entry.size))
        if entry.known is not None:
            _add_details(element, properties, entry.known, include)
    _add(root, "NextMarker", page.next_marker)
    return _write(root)


def ranges_document(ranges: Sequence[ByteRange], cleared: Sequence[ByteRange] = ()) -> bytes:
    """Write a list of ranges.

    Args:
        ranges: The ranges that hold data, in order.
        cleared: Those that held data in an earlier snapshot and hold none any more, in order.
    """
    root = Element("Ranges")
    parts = [*((part, "Range") for part in ranges), *((part, "ClearRange") for part in cleared)]
    for part, kind in sorted(parts, key=lambda item: item[0].start):
        element = SubElement(root, kind)
        _add(element, "Start", str(part.start))
        _add(element, "End", str(part.end))
    return _write(root)


def stats_document(usage: int) -> bytes:
    """Write how much a share holds, in the words of old and new clients.

    Args:
        usage: The bytes that it holds.
    """
    root = Element("ShareStats")
    _add(root, "ShareUsage", str(-(-usage // 2**30)))
    _add(root, "ShareUsageBytes", str(usage))
    return _write(root)


def policies_document(policies: Sequence[AccessPolicy]) -> bytes:
    """Write a share's access policies.

    Args:
        policies: The policies.
    """
    root = Element("SignedIdentifiers")
    for policy in policies:
        element = SubElement(root, "SignedIdentifier")
        _add(element, "Id", policy.id)
        details = SubElement(element, "AccessPolicy")
        for name, value in (
            ("Start", policy.start),
            ("Expiry", policy.expiry),
            ("Permission", policy.permission),
        ):
            if value:
                _add(details, name, value)
    return _write(root)


def handles_document() -> bytes:
    """Write the open SMB handles: none, since nothing here speaks SMB."""
    root = Element("EnumerationResults")
    SubElement(root, "Entries")
    _add(root, "NextMarker", "")
    return _write(root)


def delegation_key_document(key: DelegationKey, value: str) -> bytes:
    """Write a user delegation key.

    Args:
        key: What it is for.
        value: The key itself, base64.
    """
    root = Element("UserDelegationKey")
    _add(root, "SignedOid", key.object_id)
    _add(root, "SignedTid", key.tenant_id)
    _add(root, "SignedStart", key.start)
    _add(root, "SignedExpiry", key.expiry)
    _add(root, "SignedService", key.service)
    _add(root, "SignedVersion", key.version)
    if key.delegated_tenant_id:
        _add(root, "SignedDelegatedUserTid", key.delegated_tenant_id)
    _add(root, "Value", value)
    return _write(root)


def _add_page(root: Element, page: Page) -> None:
    _add(root, "Prefix", page.prefix)
    _add(root, "Marker", page.marker)
    _add(root, "MaxResults", str(page.limit))


def _add_details(
    element: Element, properties: Element, known: Properties, include: Collection[str]
) -> None:
    status = known.status
    _add(element, "FileId", str(status.st_ino))
    if "attributes" in include:
        _add(element, "Attributes", "Directory" if stat.S_ISDIR(status.st_mode) else "Archive")
    if "timestamps" in include:
        for name, nanoseconds in (
            ("LastAccessTime", status.st_atime_ns),
            ("LastWriteTime", status.st_mtime_ns),
            ("ChangeTime", status.st_ctime_ns),
        ):
            _add(properties, name, long_timestamp(moment_of(nanoseconds)))
        _add(properties, "Last-Modified", format_datetime(known.last_modified, usegmt=True))
    if "etag" in include:
        _add(properties, "Etag", known.etag)


def _add_name(parent: Element, name: str) -> None:
    element = SubElement(parent, "Name")
    if _UNWRITABLE_IN_NAMES.search(name):
        element.set("Encoded", "true")
        element.text = quote(name, safe="")
    else:
        element.text = name


def _add(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = _text(text) or None


def _text(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)


def _write(root: Element) -> bytes:
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document
