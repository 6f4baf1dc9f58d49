"""The file shares that a job and its cluster mount, and what is put on them first."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, cast

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.builders.mount import FileShareMount
from batchai_recipes.builders.references import texts_in
from batchai_recipes.configfiles.cluster_file import PLACEHOLDER_STORAGE
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import nearest
from batchai_recipes.staging.file_share_staging import FileShareStaging

_ROOT: Final = r"\$\{?AZ_BATCHAI_(?:JOB_)?MOUNT_ROOT\}?/"
_LEFT_OUT: Final = ("__pycache__/", ".git/")
# Where a job's files are read from; its other paths say where it writes.
_READ: Final = frozenset({"inputDirectories", "jobPreparation"})


def staged_shares(
    job: JobBuilder, cluster: ClusterBuilder, stage: Sequence[str]
) -> tuple[FileShareStaging, ...]:
    """Return the shares of the session's account that are mounted, with what to put on them.

    Args:
        job: The job.
        cluster: Its cluster.
        stage: What to put on shares: folders or files, each as ``DIR``, ``SHARE=DIR`` or
            ``SHARE/FOLDER=DIR``.

    Raises:
        ConfigurationError: A folder or share is not there, or the share has to be named.
    """
    shares = list(dict.fromkeys(mount.share for mount in _mounts(job, cluster)))
    stagings = {share: FileShareStaging(share) for share in shares}
    if stage and not shares:
        raise ConfigurationError(
            "Neither the cluster nor the job mounts a share to stage to: give --mount SHARE=PLACE"
        )
    for text in stage:
        share, folder, source = _parted(text)
        if share is None:
            share = _share_read(job, cluster, shares)
        elif share not in stagings:
            raise ConfigurationError(
                f"--stage {text!r}: neither the cluster nor the job mounts share {share!r}: "
                f"{nearest(share, shares)}"
            )
        stagings[share] = _with(stagings[share], folder, source)
    return tuple(stagings.values())


def _mounts(job: JobBuilder, cluster: ClusterBuilder) -> Iterator[FileShareMount]:
    """Yield the mounts of shares of the session's account."""
    for mount in (*cluster.mounts, *job.mounts):
        if isinstance(mount, FileShareMount) and mount.account is None:
            yield mount


def _parted(text: str) -> tuple[str | None, str, Path]:
    """Return the share, the folder on it, and the local folder or file."""
    target, equals, source = text.partition("=")
    # A folder whose own name has an equals sign is meant as it is.
    if not equals or Path(text).exists():
        return None, "", Path(text)
    share, _, folder = target.strip("/").partition("/")
    return share, folder, Path(source)


def _with(staging: FileShareStaging, folder: str, source: Path) -> FileShareStaging:
    if folder:
        staging = staging.directory(folder)
    elif staging.directories:
        raise ConfigurationError(
            f"What goes to the root of share {staging.share} comes first: give that --stage before "
            f"the others"
        )
    return (
        staging.upload(source)
        if source.is_file()
        else staging.upload_tree(source, ignore=_LEFT_OUT)
    )


def _share_read(job: JobBuilder, cluster: ClusterBuilder, shares: Sequence[str]) -> str:
    """Return the share that a job reads its program and data from."""
    if len(shares) == 1:
        return shares[0]
    texts = list(_texts_read(job, cluster))
    read = {
        mount.share
        for mount in _mounts(job, cluster)
        if any(re.search(rf"{_ROOT}{re.escape(mount.at)}(?![\w.-])", text) for text in texts)
    }
    if len(read) == 1:
        return read.pop()
    raise ConfigurationError(
        f"Say which share to stage to, --stage SHARE=DIR: there are {', '.join(map(repr, shares))}"
    )


def _texts_read(job: JobBuilder, cluster: ClusterBuilder) -> Iterator[str]:
    parameters = job.build(cluster_id="", mounts=cluster.mounts, storage=PLACEHOLDER_STORAGE)
    wire = cast("dict[str, dict[str, object]]", parameters.serialize())  # type: ignore[no-untyped-call]
    for key, value in wire["properties"].items():
        if key in _READ or (key.endswith("Settings") and key != "containerSettings"):
            yield from texts_in(value)
