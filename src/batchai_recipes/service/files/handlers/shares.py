"""Operations on a share."""

from email.utils import format_datetime
from typing import Final

from batchai_recipes.service.files.access_policies import parse_policies
from batchai_recipes.service.files.addressing import share_name
from batchai_recipes.service.files.answer import Answer, xml_answer
from batchai_recipes.service.files.call import AdmittedCall
from batchai_recipes.service.files.errors import invalid_header
from batchai_recipes.service.files.leases import LeaseChange
from batchai_recipes.service.files.metadata import read_metadata, write_metadata
from batchai_recipes.service.files.nouns import Nouns
from batchai_recipes.service.files.share import Share
from batchai_recipes.service.files.shares import DEFAULT_QUOTA_GIB
from batchai_recipes.service.files.xml_documents import policies_document, stats_document

_QUOTA: Final = "x-ms-share-quota"
_LEASES_SINCE: Final = "2020-02-10"
_DELETE_SNAPSHOTS: Final = "x-ms-delete-snapshots"
_WITH_SNAPSHOTS: Final = ("include", "include-leased")
_LARGEST_QUOTA_GIB: Final = 102_400


def create_share(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Create the share.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    share = nouns.shares.create(
        admitted.address.account,
        admitted.address.share,
        quota_gib=_quota(admitted) or DEFAULT_QUOTA_GIB,
        metadata=read_metadata(admitted.call.cased_headers),
    )
    return Answer(201, _version(share))


def get_share_properties(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Return the share's quota and metadata.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    share = _share(nouns, admitted)
    headers = (*_version(share), (_QUOTA, str(share.quota_gib)), *write_metadata(share.metadata))
    if admitted.call.version >= _LEASES_SINCE:  # older clients fail at headers they do not know
        headers = (*headers, *share.lease.headers(nouns.clock.now()))
    return Answer(200, headers)


def get_share_metadata(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Return the share's metadata.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    share = _share(nouns, admitted)
    return Answer(200, (*_version(share), *write_metadata(share.metadata)))


def set_share_metadata(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Replace the share's metadata.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    share = nouns.shares.change(
        admitted.address.account,
        share_name(admitted.address.share),
        metadata=read_metadata(admitted.call.cased_headers),
        guard=nouns.guard(admitted.call),
    )
    return Answer(200, _version(share))


def set_share_properties(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Set the share's quota.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    share = nouns.shares.change(
        admitted.address.account,
        share_name(admitted.address.share),
        quota_gib=_quota(admitted),
        guard=nouns.guard(admitted.call),
    )
    return Answer(200, _version(share))


def get_share_stats(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Return how much the share holds.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    share = _share(nouns, admitted)
    return xml_answer(stats_document(nouns.shares.usage(share.account, share.name)))


def get_share_acl(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Return the share's access policies.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    share = _share(nouns, admitted)
    return xml_answer(policies_document(share.policies), _version(share))


def set_share_acl(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Replace the share's access policies.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    share = nouns.shares.change(
        admitted.address.account,
        share_name(admitted.address.share),
        policies=parse_policies(bytes(admitted.body)),
        guard=nouns.guard(admitted.call),
    )
    return Answer(200, _version(share))


def lease_share(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Acquire, renew, change, release or break the lease on the share.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    result = LeaseChange(admitted.call.headers, nouns.clock.now(), infinite_only=False)
    share = nouns.shares.change_lease(
        admitted.address.account, share_name(admitted.address.share), result.apply
    )
    return Answer(result.status, (*_version(share), *result.answer_headers))


def snapshot_share(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Make a snapshot of the share.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    snapshot = nouns.snapshots.create(
        admitted.address.account,
        share_name(admitted.address.share),
        read_metadata(admitted.call.cased_headers),
        nouns.guard(admitted.call),
    )
    return Answer(201, (*_version(snapshot), ("x-ms-snapshot", snapshot.snapshot)))


def delete_share(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Delete the share with everything in it, or one snapshot of it.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    address = admitted.address
    account, name = address.account, share_name(address.share)
    which = admitted.call.headers.get(_DELETE_SNAPSHOTS)
    if which is not None and (address.snapshot or which.lower() not in _WITH_SNAPSHOTS):
        raise invalid_header(
            _DELETE_SNAPSHOTS,
            which,
            f"it must be {' or '.join(_WITH_SNAPSHOTS)}, and stand in a request that deletes a "
            "share, not one snapshot of it",
        )
    if address.snapshot:
        nouns.snapshots.delete(account, name, address.snapshot)
    else:
        guard = nouns.guard(admitted.call)
        nouns.shares.delete(account, name, guard, with_snapshots=which is not None)
    return Answer(202)


def _share(nouns: Nouns, admitted: AdmittedCall) -> Share:
    address = admitted.address
    share = nouns.shares.get(address.account, share_name(address.share), address.snapshot)
    nouns.guard(admitted.call).share(share.lease, share.etag, share.modified_at, writes=False)
    return share


def _version(share: Share) -> tuple[tuple[str, str], ...]:
    return (
        ("ETag", share.etag),
        ("Last-Modified", format_datetime(share.modified_at, usegmt=True)),
    )


def _quota(admitted: AdmittedCall) -> int | None:
    text = admitted.call.headers.get(_QUOTA)
    if text is None:
        return None
    quota = int(text) if text.isascii() and text.isdigit() and len(text) < len("1000000") else 0
    if not 1 <= quota <= _LARGEST_QUOTA_GIB:
        raise invalid_header(_QUOTA, text, f"use whole GiB, from 1 to {_LARGEST_QUOTA_GIB}")
    return quota
