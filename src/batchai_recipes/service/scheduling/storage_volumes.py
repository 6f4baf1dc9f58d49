"""File shares and blob containers: this service's own by link, others as copies."""

import hmac
import json
import shutil
import uuid
from collections.abc import Mapping
from typing import Any, Literal

from batchai_recipes.service.engines.engine import Mount
from batchai_recipes.service.files.addressing import share_of_url
from batchai_recipes.service.mount_options import MountOptions, parse_mount_options
from batchai_recipes.service.scheduling.remote_volume import RemoteVolume
from batchai_recipes.service.scheduling.volume import Volume, VolumeError, refusal
from batchai_recipes.service.scheduling.volume_places import (
    AccountKeys,
    AccountLookup,
    ShareLookup,
    VolumePlaces,
)
from batchai_recipes.service.storage_endpoints import file_service_of


class StorageVolumes:
    """Finds the folders of shares and containers.

    Args:
        accounts: The storage accounts of this service.
        shares: Its file shares.
        places: Where copies of others lie; None when only its own shares can be mounted.
    """

    def __init__(
        self, accounts: AccountLookup, shares: ShareLookup, places: VolumePlaces | None
    ) -> None:
        self._accounts = accounts
        self._shares = shares
        self._places = places

    def share(self, path: str, reference: Mapping[str, Any], key: str, owner: str) -> Volume:
        """Find a file share's folder.

        A share whose account opens with the given key is this service's own. Otherwise it is at
        another endpoint, unless its address says that this service was meant.

        Args:
            path: Where to mount it.
            reference: What was asked for.
            key: The account's key.
            owner: Whose copy it is, if it is at another endpoint.

        Raises:
            VolumeError: It cannot be mounted.
        """
        url = str(reference.get("azureFileUrl") or "")
        try:
            account_name, share = share_of_url(url)
        except ValueError as error:
            raise refusal(path, f"azureFileUrl: {error}") from error
        _check_given(path, account_name, key)
        account = self._accounts.get(account_name)
        if account is not None and _opens(account, key):
            return self._own_share(path, account_name, share)
        if self._is_elsewhere(url, known=account is not None):
            endpoint = file_service_of(url)
            return self._copy("files", path, reference, owner, (account_name, endpoint, share, key))
        if account is None:
            raise refusal(path, f"this service has no storage account {account_name!r}")
        raise refusal(
            path,
            f"the given key is not a key of storage account {account_name!r}: check "
            "credentials.accountKey",
        )

    def container(self, path: str, reference: Mapping[str, Any], key: str, owner: str) -> Volume:
        """Find the folder of the copy of a blob container.

        Args:
            path: Where to mount it.
            reference: What was asked for.
            key: The account's key.
            owner: Whose copy it is.

        Raises:
            VolumeError: It cannot be mounted.
        """
        account = str(reference.get("accountName") or "")
        _check_given(path, account, key)
        name = str(reference.get("containerName") or "")
        endpoint = f"https://{account}.blob.core.windows.net"
        if self._places is not None:
            endpoint = self._places.endpoints.blob_service(account)
        return self._copy("blobs", path, reference, owner, (account, endpoint, name, key))

    def _own_share(self, path: str, account: str, share: str) -> Volume:
        try:
            return Volume(Mount(path, self._shares.root(account, share)))
        except LookupError as error:
            raise refusal(
                path,
                f"storage account {account!r} has no share {share!r}: create the share, then "
                "scale the cluster down and up (or submit the job again)",
            ) from error

    def _is_elsewhere(self, url: str, *, known: bool) -> bool:
        if self._places is None or self._places.endpoints.is_own(url):
            return False
        # An account that this service has, at Azure's address, is meant to be this service's.
        is_path_style = "/" in file_service_of(url).partition("://")[2]
        return is_path_style or not known

    def _copy(
        self,
        kind: Literal["files", "blobs"],
        path: str,
        reference: Mapping[str, Any],
        owner: str,
        place: tuple[str, str, str, str],
    ) -> Volume:
        if self._places is None:
            raise refusal(path, "this service mounts its own file shares only")
        options = options_of(path, reference)
        account, endpoint, name, key = place
        remote = RemoteVolume(
            kind=kind,
            relative_path=path,
            account=account,
            endpoint=endpoint,
            name=name,
            key=key,
            folder=self._places.state.volume_copy(owner, path),
            read_only=options.read_only,
            file_mode=_mode(reference, "fileMode"),
            directory_mode=_mode(reference, "directoryMode"),
        )
        _make(remote)
        return Volume(Mount(path, remote.data, read_only=options.read_only), remote, options)


def options_of(path: str, reference: Mapping[str, Any]) -> MountOptions:
    """Read the mount options of a volume.

    Args:
        path: Where it is mounted.
        reference: What was asked for.

    Raises:
        VolumeError: They cannot be read.
    """
    try:
        return parse_mount_options(str(reference.get("mountOptions") or ""))
    except ValueError as error:
        raise refusal(path, f"mountOptions: {error}") from error


def _make(remote: RemoteVolume) -> None:
    """Make the folder of a copy, whole or not at all.

    One whose ``data`` is gone is not mended: what is missing would be taken for deleted.
    """
    if remote.data.is_dir():
        return
    new = remote.folder.with_name(f".new-{uuid.uuid4().hex}")
    try:
        (new / remote.data.name).mkdir(parents=True)
        (new / "place.json").write_text(json.dumps(remote.place()), encoding="utf-8")
        new.rename(remote.folder)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        problem = f"its copy cannot be made: {error.strerror}"
        raise refusal(remote.relative_path, problem) from error


def _check_given(path: str, account: str, key: str) -> None:
    if not key:
        raise refusal(
            path,
            f"no key of storage account {account!r} was given: set credentials.accountKey "
            "(key vault references are not supported by this release)",
        )


def _opens(account: AccountKeys, key: str) -> bool:
    given = key.encode()
    return any(hmac.compare_digest(given, known.encode()) for known in account.keys)


def _mode(reference: Mapping[str, Any], name: str) -> int:
    text = str(reference.get(name) or "0777")
    try:
        return int(text, 8) & 0o777
    except ValueError as error:
        problem = f"{name} {text!r} is no octal file mode: write it as 0755"
        raise VolumeError("ShareMountFailed", problem) from error
