"""What clusters and jobs share: the volumes that they mount."""

import re
from typing import Final

from attrs import evolve, field, frozen
from typing_extensions import Self

from batchai_recipes.builders.key_vault import KeyVaultSecret
from batchai_recipes.builders.mount import (
    BlobContainerMount,
    FileServerMount,
    FileShareMount,
    Mount,
    MountAccount,
    UnmanagedMount,
)
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import checked_relative_path, checked_share_name
from batchai_recipes.notebook import described
from batchai_recipes.staging.file_share_staging import FileShareStaging
from batchai_recipes.text import filled_text

_ACCOUNT_NAME: Final = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER_NAME: Final = re.compile(r"(?=.{3,63}$)[a-z0-9](-?[a-z0-9])*")
_MODE: Final = re.compile(r"[0-7]{3,4}")


@frozen
class MountingBuilder:
    """The base of builders whose nodes mount volumes."""

    mounts: tuple[Mount, ...] = field(default=(), kw_only=True)

    def _repr_html_(self) -> str:
        """Return what it was given as a table, for notebooks."""
        return described(self)

    def mount(
        self,
        share: FileShareStaging | str,
        *,
        at: str,
        account: str | None = None,
        key: str | KeyVaultSecret | None = None,
        url: str | None = None,
        file_mode: str | None = None,
        directory_mode: str | None = None,
    ) -> Self:
        """Mount a file share on each node.

        Args:
            share: The share, by its staging or its name.
            at: The path under ``$AZ_BATCHAI_MOUNT_ROOT``, or for a job under
                ``$AZ_BATCHAI_JOB_MOUNT_ROOT``.
            account: The name of its storage account; None for the session's.
            key: A key of that account, or where to read it.
            url: The share's URL; None for the account's usual one.
            file_mode: The mode of its files, such as ``0777``.
            directory_mode: The mode of its directories.

        Raises:
            ConfigurationError: A name, path, mode or URL is not allowed, the place is taken, or one
                of account and key is missing.
        """
        name = share.share if isinstance(share, FileShareStaging) else checked_share_name(share)
        for mode in filter(None, (file_mode, directory_mode)):
            if not _MODE.fullmatch(mode):
                raise ConfigurationError(f"{mode!r} is no mode: write it in octal, as '0777'")
        owner = _checked_account(account, key)
        if url is not None and owner is None:
            raise ConfigurationError(f"Give the account and key of the share at {url!r}, too")
        if url is not None and not url.startswith(("https://", "http://")):
            raise ConfigurationError(
                f"{url!r} is no URL of a share: it is 'https://ACCOUNT.file.core.windows.net/SHARE'"
            )
        place = checked_relative_path("mount", at)
        return self._with_mount(FileShareMount(name, place, owner, url, file_mode, directory_mode))

    def mount_blob_container(
        self,
        container: str,
        *,
        at: str,
        account: str | None = None,
        key: str | KeyVaultSecret | None = None,
        mount_options: str | None = None,
    ) -> Self:
        """Mount a container of Azure Blob Storage on each node.

        Args:
            container: The container's name.
            at: The path under the mount root.
            account: The name of its storage account; None for the session's.
            key: A key of that account, or where to read it.
            mount_options: Options for blobfuse.

        Raises:
            ConfigurationError: A name or path is not allowed, the place is taken, or one of account
                and key is missing.
        """
        if not _CONTAINER_NAME.fullmatch(container):
            raise ConfigurationError(
                f"{container!r} is not a name for a blob container: use 3 to 63 lower-case "
                f"letters, digits and single hyphens, beginning and ending with a letter or digit"
            )
        owner = _checked_account(account, key)
        place = checked_relative_path("mount", at)
        return self._with_mount(BlobContainerMount(container, place, owner, mount_options))

    def mount_file_server(
        self,
        file_server_id: str,
        *,
        at: str,
        source_directory: str | None = None,
        mount_options: str | None = None,
    ) -> Self:
        """Mount a Batch AI file server on each node.

        Args:
            file_server_id: The resource id of the file server.
            at: The path under the mount root.
            source_directory: The directory of the server to mount; None for all of it.
            mount_options: Options for mount.

        Raises:
            ConfigurationError: The id or path is not allowed, or the place is taken.
        """
        if "/fileservers/" not in file_server_id.lower():
            raise ConfigurationError(
                f"{file_server_id!r} is no resource id of a file server: it ends in "
                f"'/workspaces/WORKSPACE/fileServers/NAME'"
            )
        place = checked_relative_path("mount", at)
        mount = FileServerMount(file_server_id, place, source_directory, mount_options)
        return self._with_mount(mount)

    def mount_unmanaged_file_system(self, mount_command: str, *, at: str) -> Self:
        """Let a command mount a file system on each node.

        Args:
            mount_command: The command, to which the service adds the place's path.
            at: The path under the mount root.

        Raises:
            ConfigurationError: The command is empty, the path not allowed, or the place taken.
        """
        filled_text("The mount command", mount_command)
        place = checked_relative_path("mount", at)
        return self._with_mount(UnmanagedMount(mount_command, place))

    def _with_mount(self, mount: Mount) -> Self:
        for other in self.mounts:
            if f"{mount.at}/".startswith(f"{other.at}/") or f"{other.at}/".startswith(
                f"{mount.at}/"
            ):
                raise ConfigurationError(
                    f"{mount.at!r} is, or lies in, or holds the place {other.at!r} of another "
                    f"volume: choose another path"
                )
        return evolve(self, mounts=(*self.mounts, mount))


def _checked_account(name: str | None, key: str | KeyVaultSecret | None) -> MountAccount | None:
    if name is None and key is None:
        return None
    if name is None or key is None:
        raise ConfigurationError("Give both the storage account's name and its key, or neither")
    if not _ACCOUNT_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is not a name for a storage account: use 3 to 24 lower-case letters and "
            f"digits"
        )
    if not isinstance(key, KeyVaultSecret):
        filled_text(f"The key of storage account {name!r}", key)
    return MountAccount(name, key)
