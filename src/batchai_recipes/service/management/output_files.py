"""The files that a job has written: where its output directories lie, and what is in them.

A job writes through a mounted file share, so its output lies in the share's folder on this machine.
Where exactly follows from the job's own words, ``$AZ_BATCHAI_MOUNT_ROOT/afs``, and from what its
cluster and it mount; it is worked out when the job is made, since the cluster may be gone later.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.files.addressing import share_of_url
from batchai_recipes.service.files.stamps import moment_of
from batchai_recipes.service.management.job_properties import STDOUTERR
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.variables import expand_known

# No request can hold a NUL, so no path that a client wrote begins like these.
_CLUSTER_ROOT: Final = "\0cluster"
_JOB_ROOT: Final = "\0job"
_NOTHING_THERE: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENAMETOOLONG, errno.ELOOP}
)


@frozen
class OutputFile:
    """One entry of an output directory.

    Args:
        name: Its name.
        path: Its path in the share; None for a directory.
        modified: When it was last written.
        length: How long it is, in bytes.
    """

    name: str
    path: str | None
    modified: datetime
    length: int

    def document(self, download_url: str | None) -> dict[str, Any]:
        """Return the entry as ``listOutputFiles`` shows it.

        Args:
            download_url: Where the file can be read; None for a directory.
        """
        if download_url is None:
            return {"name": self.name, "fileType": "directory"}
        return {
            "name": self.name,
            "fileType": "file",
            "downloadUrl": download_url,
            "properties": {
                "lastModified": iso_timestamp(self.modified),
                "contentLength": self.length,
            },
        }


@frozen
class OutputLocation:
    """Where in which share or container an output directory lies.

    Args:
        account: The storage account.
        share: The share or container.
        path: The directory's path in the share.
        owner: The uid of the job or cluster that mounts it, where it is at another endpoint.
        mount_path: The relative mount path of it there.
    """

    account: str
    share: str
    path: str
    owner: str = ""
    mount_path: str = ""

    def files(self, state: StateDirectory, directory: str) -> list[OutputFile]:
        """Return what is in the directory, or in one below it, in the order of names.

        A link to a file of the share is that file, by its own path, since the file shares follow
        none. Links to directories are left out, for they may lead round in circles, as are those
        that lead out of the share and names that Azure Files cannot hold.

        Args:
            state: Where shares lie.
            directory: The directory below it, '.' for itself.

        Returns:
            The entries; none where the directory is not there (yet).
        """
        share = Path(os.path.realpath(state.share(self.account, self.share)))
        parts = (*parts_of(self.path), *parts_of(directory))
        folder = Path(os.path.realpath(share.joinpath(*parts)))
        if not folder.is_relative_to(share):
            return []
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if _is_text(entry.name))
        except OSError as error:
            if error.errno in _NOTHING_THERE:
                return []
            raise
        found = (_entry(share, folder / name) for name in names)
        return [entry for entry in found if entry is not None]


def locate_outputs(
    properties: Mapping[str, Any],
    cluster_properties: Mapping[str, Any],
    elsewhere: Callable[[str, Mapping[str, OutputLocation]], Mapping[str, OutputLocation]] = (
        lambda _, mounts: mounts
    ),
) -> dict[str, OutputLocation | None]:
    """Work out where a job's output directories will lie.

    Args:
        properties: The job's properties as they are shown.
        cluster_properties: Those of its cluster.
        elsewhere: Given ``job`` or ``cluster`` and the shares and containers that it mounts, by
            mount path: returns them, told which are at another endpoint.

    Returns:
        The location of each by its id, ``stdouterr`` among them; None where it is on no file share.
    """
    setup = cluster_properties.get("nodeSetup", {})
    cluster_mounts = elsewhere("cluster", _mounts(setup.get("mountVolumes", {})))
    own_mounts = elsewhere("job", _mounts(properties.get("mountVolumes", {})))
    # A job without volumes of its own finds the cluster's under both roots.
    roots = {_CLUSTER_ROOT: cluster_mounts, _JOB_ROOT: own_mounts or cluster_mounts}
    variables = _variables(properties.get("environmentVariables", ()))
    segment = properties["jobOutputDirectoryPathSegment"]
    paths = {STDOUTERR: f"{properties['stdOutErrPathPrefix']}/{segment}/{STDOUTERR}"}
    for output in properties.get("outputDirectories", ()):
        suffix = output.get("pathSuffix", "")
        paths[output["id"]] = f"{output['pathPrefix']}/{segment}/outputs/{suffix}"
    return {name: _locate(expand_known(path, variables), roots) for name, path in paths.items()}


def _mounts(volumes: Mapping[str, Any]) -> dict[str, OutputLocation]:
    """Return the shares and containers by relative mount path."""
    found = {
        share["relativeMountPath"]: OutputLocation(*share_of_url(share["azureFileUrl"]), "")
        for share in volumes.get("azureFileShares", ())
    }
    for container in volumes.get("azureBlobFileSystems", ()):
        location = OutputLocation(container["accountName"], container["containerName"], "")
        found[container["relativeMountPath"]] = location
    return found


def _variables(given: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the mount roots and the job's own variables, each of which may name those before."""
    variables = {
        "AZ_BATCHAI_MOUNT_ROOT": _CLUSTER_ROOT,
        "AZ_BATCHAI_JOB_MOUNT_ROOT": _JOB_ROOT,
    }
    for variable in given:
        variables[variable["name"]] = expand_known(variable["value"], variables)
    return variables


def _locate(path: str, roots: Mapping[str, Mapping[str, OutputLocation]]) -> OutputLocation | None:
    root, _, rest = path.partition("/")
    parts = parts_of(rest)
    if root not in roots or ".." in parts or any("$" in part or "\0" in part for part in parts):
        return None
    for mount_point, location in roots[root].items():
        depth = mount_point.count("/") + 1
        if "/".join(parts[:depth]) == mount_point:
            return evolve(location, path="/".join(parts[depth:]))
    return None


def parts_of(path: str) -> tuple[str, ...]:
    """Return the names that a path below a share or an output directory is made of.

    Args:
        path: The path; a slash at its beginning counts for nothing.

    Example:
        >>> parts_of("/logs/./today/")
        ('logs', 'today')
    """
    return tuple(part for part in path.split("/") if part not in {"", "."})


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _entry(share: Path, file: Path) -> OutputFile | None:
    """Return an entry, or None where it leads out of the share, is no file, or has just gone."""
    real = Path(os.path.realpath(file))
    if not real.is_relative_to(share):
        return None
    try:
        status = real.stat()
    except OSError:
        return None
    is_directory = stat.S_ISDIR(status.st_mode)
    if not is_directory and not stat.S_ISREG(status.st_mode):
        return None  # a pipe, say, which the file shares do not show either
    if is_directory and real != file:
        return None
    return OutputFile(
        name=file.name,
        path=None if is_directory else str(real.relative_to(share)),
        # Whole seconds, as the file shares' own Last-Modified.
        modified=moment_of(status.st_mtime_ns).replace(microsecond=0),
        length=status.st_size,
    )
