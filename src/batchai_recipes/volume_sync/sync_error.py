"""What goes wrong with a volume, in words that tell what to do."""

import errno

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from batchai_recipes.volume_sync.request import VolumeRequest

_CODES = {
    "AuthenticationFailed": "the account's key was refused: check credentials.accountKey",
    "AuthorizationFailure": "access was refused: check credentials.accountKey and its firewall",
    "AuthorizationPermissionMismatch": "the key may not do this: check the account's settings",
    "KeyBasedAuthenticationNotPermitted": "the account allows no keys: allow shared key access",
    "AccountIsDisabled": "the account is disabled: enable it",
    "ShareNotFound": "there is no such share: create it, or mend azureFileUrl",
    "ContainerNotFound": "there is no such container: create it, or mend containerName",
    "ShareBeingDeleted": "the share is being deleted: wait, create it again and try again",
    "ContainerBeingDeleted": "the container is being deleted: wait, create it again and try again",
    "ShareSizeLimitReached": "the share is full: raise its quota or delete files",
    "InsufficientAccountPermissions": "the account's settings forbid this: check them",
    "ResourceNotFound": "it is not there: check the account, and the name of share or container",
}
_TEMPORARY_STATUSES = {408, 429, 500, 502, 503, 504}


class SyncError(Exception):
    """A volume cannot be copied.

    Args:
        message: What is wrong and what to do.
        whole: Whether it is the whole volume that cannot be reached, not one file of it.
        temporary: Whether trying again later may help.
    """

    def __init__(self, message: str, *, whole: bool = False, temporary: bool = False) -> None:
        super().__init__(message)
        self.whole = whole
        self.temporary = temporary


class ChangedMeanwhileError(Exception):
    """A file changed while it was copied: it is due again."""


def explained(error: Exception, volume: VolumeRequest, path: str = "") -> SyncError:
    """Put an error of the storage clients or of the disk into words.

    Args:
        error: The error.
        volume: The volume it is about.
        path: The file it is about, if it is about one.

    Example:
        >>> volume = VolumeRequest("files", "afs", "demo", "http://h", "data", "k", "/copy")
        >>> str(explained(OSError(28, "No space left on device"), volume))
        "volume 'afs' (share 'data' of account 'demo'): the disk of this machine is full: make room"
    """
    if isinstance(error, SyncError):
        return error
    reason, whole, temporary = _reason(error, volume)
    place = f"{volume}, file {path!r}" if path and not whole else str(volume)
    return SyncError(f"{place}: {reason}", whole=whole, temporary=temporary)


def _reason(error: Exception, volume: VolumeRequest) -> tuple[str, bool, bool]:
    if isinstance(error, (ServiceRequestError, ServiceResponseError)):
        text = (
            f"{volume.endpoint} cannot be reached ({_first_line(error)}): check the name of the "
            "account, the address and the network"
        )
        return text, True, True
    if isinstance(error, HttpResponseError):
        return _http_reason(error)
    if isinstance(error, OSError):
        return _disk_reason(error)
    if isinstance(error, ValueError) and "base64" in str(error):
        return "credentials.accountKey is not base64: copy it again", True, False
    return f"{type(error).__name__}: {_first_line(error)}", isinstance(error, AzureError), False


def _http_reason(error: HttpResponseError) -> tuple[str, bool, bool]:
    code = str(getattr(error, "error_code", "") or "")
    code = getattr(code, "value", code).rpartition(".")[2]
    known = next((text for name, text in _CODES.items() if _same(name, code)), None)
    temporary = error.status_code in _TEMPORARY_STATUSES
    if known is not None:
        return f"{known} ({code})", True, temporary
    if isinstance(error, ClientAuthenticationError):
        return f"{_CODES['AuthenticationFailed']} ({code or error.status_code})", True, False
    return f"HTTP {error.status_code} {code}: {_first_line(error)}", temporary, temporary


def _disk_reason(error: OSError) -> tuple[str, bool, bool]:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "the disk of this machine is full: make room", True, True
    return f"{error.strerror or error}", False, False


def _same(name: str, code: str) -> bool:
    return name.lower() == code.replace("_", "").lower()


def _first_line(error: Exception) -> str:
    lines = str(getattr(error, "message", None) or error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
