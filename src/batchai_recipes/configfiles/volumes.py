"""``mountVolumes`` of a configuration file."""

from typing import Final, TypeVar
from urllib.parse import urlsplit

from batchai_recipes.builders.key_vault import KeyVaultSecret
from batchai_recipes.builders.mounting import MountingBuilder
from batchai_recipes.configfiles.placeholders import ACCOUNT, KEY, written
from batchai_recipes.configfiles.section import Section

_Builder = TypeVar("_Builder", bound=MountingBuilder)

_USUAL_MODE: Final = "0777"
_ACCOUNT: Final = written(ACCOUNT)
_KEY: Final = written(KEY)


def with_volumes(builder: _Builder, volumes: Section | None) -> _Builder:
    """Return a builder that mounts what a file says.

    Args:
        builder: The builder.
        volumes: ``mountVolumes`` of the file; None where there is none.

    Raises:
        ConfigFileError: A volume cannot be mounted.
    """
    if volumes is None:
        return builder
    for share in volumes.sections("azureFileShares"):
        with share.at():
            builder = _with_share(builder, share)
    for container in volumes.sections("azureBlobFileSystems"):
        with container.at():
            builder = _with_container(builder, container)
    for server in volumes.sections("fileServers"):
        identity = server.section("fileServer")
        with server.at():
            builder = builder.mount_file_server(
                identity.required("id") if identity else "",
                at=server.required("relativeMountPath"),
                source_directory=server.text("sourceDirectory"),
                mount_options=server.text("mountOptions"),
            )
    for unmanaged in volumes.sections("unmanagedFileSystems"):
        with unmanaged.at():
            builder = builder.mount_unmanaged_file_system(
                unmanaged.required("mountCommand"), at=unmanaged.required("relativeMountPath")
            )
    return builder


def _with_share(builder: _Builder, share: Section) -> _Builder:
    raw_url = share.raw("azureFileUrl") or ""
    try:
        parts = urlsplit(raw_url)
    except ValueError as error:
        raise share.error("azureFileUrl", f"no URL: {error}") from error
    raw_account = share.raw("accountName") or parts.netloc.partition(".")[0]
    name = share.placeholders.fill(parts.path.strip("/").rpartition("/")[2])
    if not name:
        raise share.error(
            "azureFileUrl", "no share's name at the end: write it as 'https://.../SHARE'"
        )
    at = share.required("relativeMountPath")
    file_mode, directory_mode = _mode(share, "fileMode"), _mode(share, "directoryMode")
    owner = _owner(share, raw_account)
    if owner is None and _is_usual(share, raw_url, name):
        return builder.mount(name, at=at, file_mode=file_mode, directory_mode=directory_mode)
    if owner is None:
        fill = share.placeholders.fill
        owner = (fill(_ACCOUNT), fill(_KEY))
    account, key = owner
    url = share.required("azureFileUrl")
    usual = f"https://{account}.file.core.windows.net/{name}"
    return builder.mount(
        name,
        at=at,
        account=account,
        key=key,
        url=None if url == usual else url,
        file_mode=file_mode,
        directory_mode=directory_mode,
    )


def _with_container(builder: _Builder, container: Section) -> _Builder:
    account, key = _owner(container, container.raw("accountName") or _ACCOUNT) or (None, None)
    return builder.mount_blob_container(
        container.required("containerName"),
        at=container.required("relativeMountPath"),
        account=account,
        key=key,
        mount_options=container.text("mountOptions"),
    )


def _owner(volume: Section, raw_account: str) -> tuple[str, str | KeyVaultSecret] | None:
    """Return the account of a volume with its key; None for the session's."""
    storage = volume.placeholders.storage
    is_ours = raw_account == _ACCOUNT or (storage is not None and raw_account == storage.name)
    credentials = volume.section("credentials")
    raw_key = credentials.raw("accountKey") if credentials else None
    our_keys = {None, _KEY, storage.key if storage else None}
    if is_ours and raw_key in our_keys and not _is_referred(credentials):
        return None
    key = credentials.secret("accountKey", "accountKeySecretReference") if credentials else None
    if not key:
        raise volume.error(
            "credentials",
            f"no key of the storage account {raw_account!r}: give 'accountKey', or name the "
            f"connection's account, {_ACCOUNT}",
        )
    with volume.at("accountName"):
        return volume.placeholders.fill(raw_account), key


def _is_referred(credentials: Section | None) -> bool:
    return credentials is not None and "accountKeySecretReference" in credentials


def _is_usual(share: Section, url: str, name: str) -> bool:
    """Tell whether a URL is the one that the session's account gives a share anyway."""
    storage = share.placeholders.storage
    usual = {f"https://{_ACCOUNT}.file.core.windows.net/{name}"}
    if storage:
        usual |= {
            f"https://{storage.name}.file.core.windows.net/{name}",
            storage.share_url(name),
        }
    return url.rstrip("/") in usual


def _mode(share: Section, key: str) -> str | None:
    mode = share.text(key)
    return None if mode == _USUAL_MODE else mode
