"""Operations on a share."""

from email.utils import format_datetime
from typing import Final

from batchai_recipes.service.files.addressing import share_name
from batchai_recipes.service.files.answer import Answer, xml_answer
from batchai_recipes.service.files.call import AdmittedCall
from batchai_recipes.service.files.errors import invalid_header
from batchai_recipes.service.files.metadata import read_metadata, write_metadata
from batchai_recipes.service.files.nouns import Nouns
from batchai_recipes.service.files.shares import DEFAULT_QUOTA_GIB, Share
from batchai_recipes.service.files.xml_documents import stats_document

_QUOTA: Final = "x-ms-share-quota"
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
    )
    return Answer(200, _version(share))


def set_share_properties(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Set the share's quota.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    share = nouns.shares.change(
        admitted.address.account, share_name(admitted.address.share), quota_gib=_quota(admitted)
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


def delete_share(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Delete the share with everything in it.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    nouns.shares.delete(admitted.address.account, share_name(admitted.address.share))
    return Answer(202)


def _share(nouns: Nouns, admitted: AdmittedCall) -> Share:
    return nouns.shares.get(admitted.address.account, share_name(admitted.address.share))


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
