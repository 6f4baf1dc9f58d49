"""What the file service refuses, with Azure's own codes.

.. code-block:: text

    FileServiceError            any refusal: code, message, what to do
    └── ShareNotFoundError      the share is not there (a LookupError too)

Source:
    https://learn.microsoft.com/rest/api/storageservices/file-service-error-codes
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

EMPTY: Final[Mapping[str, str]] = MappingProxyType({})


class ErrorCode(Enum):
    """Azure's name of a refusal and the HTTP status that goes with it."""

    AUTHENTICATION_FAILED = ("AuthenticationFailed", 403)
    AUTHORIZATION_PERMISSION_MISMATCH = ("AuthorizationPermissionMismatch", 403)
    AUTHORIZATION_PROTOCOL_MISMATCH = ("AuthorizationProtocolMismatch", 403)
    AUTHORIZATION_RESOURCE_TYPE_MISMATCH = ("AuthorizationResourceTypeMismatch", 403)
    AUTHORIZATION_SERVICE_MISMATCH = ("AuthorizationServiceMismatch", 403)
    AUTHORIZATION_SOURCE_IP_MISMATCH = ("AuthorizationSourceIPMismatch", 403)
    CANNOT_VERIFY_COPY_SOURCE = ("CannotVerifyCopySource", 403)
    CONDITION_NOT_MET = ("ConditionNotMet", 412)
    CORS_PREFLIGHT_FAILURE = ("CorsPreflightFailure", 403)
    DIRECTORY_NOT_EMPTY = ("DirectoryNotEmpty", 409)
    EMPTY_METADATA_KEY = ("EmptyMetadataKey", 400)
    FILE_INVALID_PERMISSION = ("FileInvalidPermission", 400)
    FILE_INVALID_PERMISSION_KEY = ("FileInvalidPermissionKey", 400)
    INTERNAL_ERROR = ("InternalError", 500)
    INVALID_AUTHENTICATION_INFO = ("InvalidAuthenticationInfo", 400)
    INVALID_FILE_OR_DIRECTORY_PATH_NAME = ("InvalidFileOrDirectoryPathName", 400)
    INVALID_HEADER_VALUE = ("InvalidHeaderValue", 400)
    INVALID_MD5 = ("InvalidMd5", 400)
    INVALID_QUERY_PARAMETER_VALUE = ("InvalidQueryParameterValue", 400)
    INVALID_RANGE = ("InvalidRange", 416)
    INVALID_RESOURCE_NAME = ("InvalidResourceName", 400)
    # The same code with another status: what is wrong is the token.
    INVALID_TOKEN = ("InvalidAuthenticationInfo", 401)
    INVALID_XML_DOCUMENT = ("InvalidXmlDocument", 400)
    INVALID_XML_NODE_VALUE = ("InvalidXmlNodeValue", 400)
    INVALID_URI = ("InvalidUri", 400)
    LEASE_ALREADY_PRESENT = ("LeaseAlreadyPresent", 409)
    LEASE_ID_MISMATCH_WITH_FILE = ("LeaseIdMismatchWithFileOperation", 409)
    LEASE_ID_MISMATCH_WITH_LEASE = ("LeaseIdMismatchWithLeaseOperation", 409)
    LEASE_ID_MISMATCH_WITH_SHARE = ("LeaseIdMismatchWithContainerOperation", 409)
    LEASE_ID_MISSING = ("LeaseIdMissing", 412)
    LEASE_IS_BREAKING = ("LeaseIsBreakingAndCannotBeAcquired", 409)
    LEASE_IS_BROKEN = ("LeaseIsBrokenAndCannotBeRenewed", 409)
    LEASE_NOT_PRESENT_WITH_FILE = ("LeaseNotPresentWithFileOperation", 412)
    LEASE_NOT_PRESENT_WITH_LEASE = ("LeaseNotPresentWithLeaseOperation", 409)
    LEASE_NOT_PRESENT_WITH_SHARE = ("LeaseNotPresentWithContainerOperation", 412)
    MD5_MISMATCH = ("Md5Mismatch", 400)
    METADATA_TOO_LARGE = ("MetadataTooLarge", 400)
    MISSING_REQUIRED_HEADER = ("MissingRequiredHeader", 400)
    NO_PENDING_COPY_OPERATION = ("NoPendingCopyOperation", 409)
    NOT_MODIFIED = ("ConditionNotMet", 304)
    NO_AUTHENTICATION_INFORMATION = ("NoAuthenticationInformation", 401)
    OUT_OF_RANGE_QUERY_PARAMETER_VALUE = ("OutOfRangeQueryParameterValue", 400)
    PARENT_NOT_FOUND = ("ParentNotFound", 404)
    READ_ONLY_ATTRIBUTE = ("ReadOnlyAttribute", 409)
    REQUEST_BODY_TOO_LARGE = ("RequestBodyTooLarge", 413)
    RESOURCE_ALREADY_EXISTS = ("ResourceAlreadyExists", 409)
    RESOURCE_NOT_FOUND = ("ResourceNotFound", 404)
    RESOURCE_TYPE_MISMATCH = ("ResourceTypeMismatch", 409)
    SHARE_ALREADY_EXISTS = ("ShareAlreadyExists", 409)
    SHARE_SIZE_LIMIT_REACHED = ("ShareSizeLimitReached", 409)
    PREVIOUS_SNAPSHOT_NOT_FOUND = ("PreviousSnapshotNotFound", 409)
    SHARE_HAS_SNAPSHOTS = ("ShareHasSnapshots", 409)
    SHARE_SNAPSHOT_COUNT_EXCEEDED = ("ShareSnapshotCountExceeded", 409)
    SHARE_SNAPSHOT_IN_PROGRESS = ("ShareSnapshotInProgress", 409)
    SHARE_SNAPSHOT_NOT_FOUND = ("ShareSnapshotNotFound", 404)
    SHARE_SNAPSHOT_OPERATION_NOT_SUPPORTED = ("ShareSnapshotOperationNotSupported", 409)
    SHARE_NOT_FOUND = ("ShareNotFound", 404)
    UNSUPPORTED_HTTP_VERB = ("UnsupportedHttpVerb", 405)
    # Ours: Azure has no words for these two. Neither is a 5xx, which clients would try again.
    NOT_EMULATED = ("NotEmulated", 400)
    DISK_FULL = ("InsufficientDiskSpace", 409)

    @property
    def text(self) -> str:
        """The code as the wire carries it."""
        return self.value[0]

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[1]


class FileServiceError(Exception):
    """A request that the file service refuses.

    Args:
        code: Azure's code for it.
        message: What happened and what to do.
        details: More elements of the error document, by name.
        headers: Headers that the answer carries.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        details: Mapping[str, str] = EMPTY,
        headers: Mapping[str, str] = EMPTY,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self.headers = headers


class ShareNotFoundError(FileServiceError, LookupError):
    """There is no such share.

    Args:
        account: The storage account that was asked.
        share: The name that it does not have.
    """

    def __init__(self, account: str, share: str) -> None:
        super().__init__(
            ErrorCode.SHARE_NOT_FOUND,
            f"The storage account {account!r} has no share {share!r}; create the share first.",
        )


def invalid_header(name: str, value: str, reason: str) -> FileServiceError:
    """Return the refusal of a header whose value cannot be used.

    Args:
        name: The header.
        value: What it held.
        reason: What is wrong with it and what would be right.
    """
    return FileServiceError(
        ErrorCode.INVALID_HEADER_VALUE,
        f"The value of the header {name} cannot be used: {reason}.",
        details={"HeaderName": name, "HeaderValue": value},
    )


def missing_header(name: str) -> FileServiceError:
    """Return the refusal of a request that lacks a header which its operation needs."""
    return FileServiceError(
        ErrorCode.MISSING_REQUIRED_HEADER,
        f"This operation needs the header {name}.",
        details={"HeaderName": name},
    )


def invalid_parameter(name: str, value: str, reason: str) -> FileServiceError:
    """Return the refusal of a query parameter whose value cannot be used.

    Args:
        name: The parameter.
        value: What it held.
        reason: What is wrong with it and what would be right.
    """
    return FileServiceError(
        ErrorCode.INVALID_QUERY_PARAMETER_VALUE,
        f"The value of the query parameter {name} cannot be used: {reason}.",
        details={"QueryParameterName": name, "QueryParameterValue": value, "Reason": reason},
    )


def not_emulated(feature: str) -> FileServiceError:
    """Return the refusal of something that Azure Files has and this service has not."""
    return FileServiceError(
        ErrorCode.NOT_EMULATED,
        f"This file service does not offer {feature}; nothing was changed.",
    )
