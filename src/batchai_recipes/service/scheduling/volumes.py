"""Turning the mount volumes of a cluster or a job into folders that an engine can mount."""

import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from batchai_recipes.service.engines.engine import Mount
from batchai_recipes.service.files.addressing import share_of_url

_SUPPORTED = "azureFileShares"


class AccountKeys(Protocol):
    """What is asked of a storage account."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that open it, base64."""
        ...


class AccountLookup(Protocol):
    """Where storage accounts are known."""

    def get(self, name: str) -> AccountKeys | None:
        """Return an account, or None when there is none of that name."""
        ...


class ShareLookup(Protocol):
    """Where file shares are known."""

    def root(self, account: str, share: str) -> Path:
        """Return a share's folder.

        Raises:
            LookupError: There is no such share.
        """
        ...


class VolumeError(Exception):
    """A volume cannot be mounted.

    Args:
        code: Batch AI's error code.
        message: What is wrong and what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Volumes:
    """Finds the folder behind each mount volume, for those who hold the account's key.

    Args:
        accounts: The storage accounts.
        shares: The file shares.
    """

    def __init__(self, accounts: AccountLookup, shares: ShareLookup) -> None:
        self._accounts = accounts
        self._shares = shares

    def resolve(
        self, mount_volumes: Mapping[str, Any] | None, account_keys: Mapping[str, str]
    ) -> tuple[Mount, ...]:
        """Check the volumes and find their folders.

        Args:
            mount_volumes: ``mountVolumes`` of a cluster's node setup or of a job.
            account_keys: The account keys given with them, by relative mount path.

        Returns:
            What to mount where.

        Raises:
            VolumeError: One of them cannot be mounted.
        """
        volumes = mount_volumes or {}
        for kind, wanted in volumes.items():
            if wanted and kind != _SUPPORTED:
                raise VolumeError(
                    "MountVolumeNotSupported",
                    f"Mounting {kind} is not supported by this release: use {_SUPPORTED}",
                )
        references = volumes.get(_SUPPORTED) or ()
        mounts = tuple(self._resolve_share(item, account_keys) for item in references)
        _refuse_overlaps([mount.relative_path for mount in mounts])
        return mounts

    def _resolve_share(self, reference: Mapping[str, Any], keys: Mapping[str, str]) -> Mount:
        path = str(reference.get("relativeMountPath") or "")
        place = _relative_path(path)
        try:
            account_name, share = share_of_url(str(reference.get("azureFileUrl") or ""))
        except ValueError as error:
            raise _refusal(path, f"azureFileUrl: {error}") from error
        account = self._accounts.get(account_name)
        if account is None:
            raise _refusal(path, f"this service has no storage account {account_name!r}")
        _check_key(path, account_name, account, keys.get(path))
        try:
            return Mount(place, self._shares.root(account_name, share))
        except LookupError as error:
            raise _refusal(
                path,
                f"storage account {account_name!r} has no share {share!r}: create the share, then "
                "scale the cluster down and up (or submit the job again)",
            ) from error


def _relative_path(path: str) -> str:
    pure = PurePosixPath(path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise _refusal(
            path, "relativeMountPath must name a directory below the mount root, without '..'"
        )
    return str(pure)


def _check_key(path: str, account_name: str, account: AccountKeys, key: str | None) -> None:
    if not key:
        raise _refusal(
            path,
            f"no key of storage account {account_name!r} was given: set credentials.accountKey "
            "(key vault references are not supported by this release)",
        )
    given = key.encode()
    if not any(hmac.compare_digest(given, known.encode()) for known in account.keys):
        raise _refusal(
            path,
            f"the given key is not a key of storage account {account_name!r}: check "
            "credentials.accountKey",
        )


def _refuse_overlaps(paths: Sequence[str]) -> None:
    for number, path in enumerate(paths):
        for other in paths[:number]:
            first, second = PurePosixPath(other), PurePosixPath(path)
            if first == second or first in second.parents or second in first.parents:
                raise _refusal(
                    path, f"relativeMountPath overlaps with {other!r}: give each its own directory"
                )


def _refusal(path: str, problem: str) -> VolumeError:
    return VolumeError(
        "ShareMountFailed", f"The file share for {path!r} cannot be mounted: {problem}"
    )
