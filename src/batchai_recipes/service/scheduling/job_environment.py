"""The directories and variables that a job's processes find.

Source:
    The environment variables that the documentation of Batch AI and its recipes rely on.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from batchai_recipes.service.engines.engine import JobFolders, Node
from batchai_recipes.service.scheduling.job_records import JobRecord
from batchai_recipes.service.variables import expand_known, expand_path, is_reserved


class DirectoryError(Exception):
    """A directory of a job cannot be where its user wants it; the message says why."""


@frozen
class JobEnvironment:
    """What the processes of a job find on one of its nodes.

    Args:
        node: The node's own variables.
        service: The service's variables that are the same for all processes on the node.
        given: The job's own variables, as sent over the wire.
        secrets: Those with secret values.
        stdouterr: Where standard output, standard error and the execution log lie.
        directories: The directories to make before a process starts.
    """

    node: Mapping[str, str] = field(repr=False)
    service: Mapping[str, str] = field(repr=False)
    given: Sequence[Mapping[str, Any]] = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    stdouterr: str
    directories: tuple[str, ...]

    def variables(self, of_process: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of one process; the job's own come last, for its user knows best.

        Args:
            of_process: Those of the process alone, which the job's own may name, too.
        """
        service = {**self.service, **of_process}
        user = expanded_variables(self.given, {**self.node, **service})
        return {**service, **user, **self.secrets}

    def known(self, of_process: Mapping[str, str]) -> dict[str, str]:
        """Return everything that ``$NAME`` may stand for in a process: the node's variables, too.

        Args:
            of_process: Those of the process alone.
        """
        return {**self.node, **self.variables(of_process)}


def job_environment(
    job: JobRecord, node_id: str, nodes: Mapping[str, Node], folders: JobFolders
) -> JobEnvironment:
    """Work out what a job's processes find on one node.

    The job's own variables may name the service's and each other, in the order given; paths may
    name both. Secret values are taken as they are: a dollar sign in a password is no reference.

    Args:
        job: The job.
        node_id: The node.
        nodes: All nodes of the job, by id, the master first.
        folders: The job's own folders.

    Returns:
        The variables and directories.

    Raises:
        DirectoryError: A directory is not absolute or leads out of its place.
        UndefinedVariableError: A path names a variable that is not set.
    """
    node = nodes[node_id]
    given = job.properties.get("environmentVariables") or ()
    service = _service_variables(job, node_id, nodes, folders)
    base = {**node.environment, **service}
    paths = {**base, **expanded_variables(given, base)}
    inputs = _input_directories(job.properties, paths)
    outputs = _output_directories(job.properties, paths)
    stdouterr = _below(_absolute(job.properties, "stdOutErrPathPrefix", paths), job, "stdouterr")
    service |= {f"AZ_BATCHAI_INPUT_{name}": path for name, path in inputs.items()}
    service |= {
        f"AZ_BATCHAI_OUTPUT_{name}": _below(prefix, job, "outputs", suffix)
        for name, (prefix, suffix) in outputs.items()
    }
    service["AZ_BATCHAI_STDOUTERR_DIR"] = stdouterr
    if job.previous_segment is not None:
        service |= {
            f"AZ_BATCHAI_PREV_OUTPUT_{name}": _joined(
                prefix, job.previous_segment, "outputs", suffix
            )
            for name, (prefix, suffix) in outputs.items()
        }
    made = [path for name, path in service.items() if name.startswith(_MADE_PREFIXES)]
    return JobEnvironment(
        node=node.environment,
        service=service,
        given=given,
        secrets=_unreserved(job.environment_secrets),
        stdouterr=stdouterr,
        directories=(stdouterr, *made),
    )


_MADE_PREFIXES = ("AZ_BATCHAI_INPUT_", "AZ_BATCHAI_OUTPUT_")


def with_program_first(path: str, program: str, fallback: str) -> str:
    """Put the folder of a program before all others of a ``PATH``.

    Args:
        path: The ``PATH``.
        program: The program, with or without a folder.
        fallback: The program whose folder to put there instead when it has none.

    Example:
        >>> with_program_first("/usr/bin", "/opt/venv/bin/python", "/usr/bin/python3")
        '/opt/venv/bin:/usr/bin'
    """
    folder = os.path.dirname(program) or os.path.dirname(fallback)  # noqa: PTH120  # POSIX text
    return f"{folder}:{path}" if path else folder


def _service_variables(
    job: JobRecord, node_id: str, nodes: Mapping[str, Node], folders: JobFolders
) -> dict[str, str]:
    node = nodes[node_id]
    addresses = [other.address for other in nodes.values()]
    own_volumes = any((job.properties.get("mountVolumes") or {}).values())
    temp = folders.temp[node_id]
    return {
        "PYTHONUNBUFFERED": "1",
        "AZ_BATCHAI_MOUNT_ROOT": node.mount_root,
        # Recipes use the job's root for both, so without volumes of its own it is the cluster's.
        "AZ_BATCHAI_JOB_MOUNT_ROOT": folders.mount_root if own_volumes else node.mount_root,
        "AZ_BATCHAI_JOB_TEMP": temp,
        "AZ_BATCHAI_JOB_TEMP_DIR": folders.root,
        "AZ_BATCHAI_SHARED_JOB_TEMP": folders.shared_temp,
        "AZ_BATCHAI_MPI_HOST_FILE": folders.mpi_host_file,
        "AZ_BATCHAI_MPI_MASTER_NODE": addresses[0],
        "AZ_BATCH_MASTER_NODE": addresses[0],
        "AZ_BATCH_HOST_LIST": ",".join(addresses),
        "AZ_BATCHAI_NUM_GPUS": str(node.gpu_count),
        "AZ_BATCHAI_NUM_GPUS_PER_NODE": str(node.gpu_count),
    }


def expanded_variables(
    given: Sequence[Mapping[str, Any]], known: Mapping[str, str]
) -> dict[str, str]:
    """Expand variables that a user gave, each of which may name those before it.

    Args:
        given: Their names and values, as sent over the wire; reserved names are left out.
        known: The variables that are set already.

    Example:
        >>> expanded_variables([{"name": "DATA", "value": "$ROOT/data"}], {"ROOT": "/mnt"})
        {'DATA': '/mnt/data'}
    """
    user: dict[str, str] = {}
    for variable in given:
        name = str(variable["name"])
        if not is_reserved(name):
            user[name] = expand_known(str(variable.get("value") or ""), {**known, **user})
    return user


def _unreserved(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if not is_reserved(name)}


def _input_directories(properties: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, str]:
    return {
        str(item["id"]): _absolute(item, "path", known)
        for item in properties.get("inputDirectories") or ()
    }


def _output_directories(
    properties: Mapping[str, Any], known: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    return {
        str(item["id"]): (
            _absolute(item, "pathPrefix", known),
            _suffix(expand_path(str(item.get("pathSuffix") or ""), known)),
        )
        for item in properties.get("outputDirectories") or ()
    }


def _absolute(settings: Mapping[str, Any], name: str, known: Mapping[str, str]) -> str:
    given = str(settings.get(name) or "")
    path = expand_path(given, known)
    if not path.startswith("/") or "\0" in path:
        raise DirectoryError(
            f"{name} {given!r} is not an absolute path: begin it with $AZ_BATCHAI_MOUNT_ROOT or "
            "$AZ_BATCHAI_JOB_MOUNT_ROOT"
        )
    return _joined(path)


def _suffix(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise DirectoryError(f"pathSuffix {path!r} must be relative and must not contain '..'")
    return path


def _below(prefix: str, job: JobRecord, *parts: str) -> str:
    segment = str(job.properties["jobOutputDirectoryPathSegment"])
    return _joined(prefix, segment, *parts)


def _joined(*parts: str) -> str:
    """Join parts of an absolute path; as pathlib does, but a hundred thousand times."""
    pieces = "/".join(parts).split("/")
    return "/" + "/".join(piece for piece in pieces if piece not in {"", "."})
