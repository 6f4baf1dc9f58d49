"""``job.json``: a job of any toolkit as a file."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TypeVar, cast

from batchai_recipes.builders.job import JobBuilder, JobPriority
from batchai_recipes.builders.mount import Mount
from batchai_recipes.configfiles.cluster_file import PLACEHOLDER_STORAGE, write_hidden
from batchai_recipes.configfiles.document import read_document
from batchai_recipes.configfiles.section import Section
from batchai_recipes.configfiles.toolkit_settings import read_toolkit
from batchai_recipes.configfiles.variables import named_secrets, named_variables
from batchai_recipes.configfiles.volumes import with_volumes
from batchai_recipes.staging.storage_account import StorageAccount

_Job = TypeVar("_Job", bound=JobBuilder)


def read_job(
    path: str | os.PathLike[str],
    *,
    name: str | None,
    storage: StorageAccount | None,
    variables: Mapping[str, str] | None,
) -> JobBuilder:
    """Read a job from a file; see :meth:`JobBuilder.from_file`."""
    own_name, file = read_document(path, "JobCreateParameters", storage, variables)
    with file.at():
        job = read_toolkit(file, name or own_name)
    nodes = file.count("nodeCount")
    if nodes is not None:
        with file.at("nodeCount"):
            job = job.nodes(nodes)
    priority = file.text("schedulingPriority")
    if priority is not None:
        with file.at("schedulingPriority"):
            job = job.priority(cast("JobPriority", priority.lower()))
    prefix = file.text("stdOutErrPathPrefix")
    if prefix is not None:
        with file.at("stdOutErrPathPrefix"):
            job = job.std_out_err_path_prefix(prefix)
    job = with_volumes(job, file.section("mountVolumes"))
    job = _with_directories(job, file)
    job = _with_container(job, file.section("containerSettings"))
    job = _with_variables(job, file)
    return _with_limits(job, file)


def write_job(
    job: JobBuilder, path: str | os.PathLike[str], *, mounts: tuple[Mount, ...] | None
) -> tuple[str, ...]:
    """Write a job to a file; see :meth:`JobBuilder.to_file`."""
    parameters = job.build(cluster_id="", mounts=mounts, storage=PLACEHOLDER_STORAGE)
    return write_hidden(path, "job", parameters)


def _with_directories(job: _Job, file: Section) -> _Job:
    for one in file.sections("inputDirectories"):
        with one.at():
            job = job.input(one.required("id"), one.required("path"))
    for one in file.sections("outputDirectories"):
        with one.at():
            job = job.output(
                one.required("id"), suffix=one.text("pathSuffix"), prefix=one.text("pathPrefix")
            )
    return job


def _with_container(job: _Job, container: Section | None) -> _Job:
    registry = container.section("imageSourceRegistry") if container else None
    if container is None or registry is None:
        return job
    user = registry.section("credentials")
    with container.at():
        return job.container(
            registry.required("image"),
            server_url=registry.text("serverUrl"),
            username=user.text("username") if user else None,
            password=user.secret("password", "passwordSecretReference") if user else None,
            shm_size=container.text("shmSize"),
        )


def _with_variables(job: _Job, file: Section) -> _Job:
    for name, value in named_variables(file, "environmentVariables").items():
        with file.at("environmentVariables"):
            job = job.environment_variable(name, value)
    for name, secret in named_secrets(file, "secrets").items():
        with file.at("secrets"):
            job = job.secret(name, secret)
    return job


def _with_limits(job: _Job, file: Section) -> _Job:
    # Loaded on first use, since it takes long.
    from msrest.exceptions import DeserializationError  # type: ignore[attr-defined]  # noqa: PLC0415 - see above
    from msrest.serialization import Deserializer  # noqa: PLC0415 - likewise

    preparation = file.section("jobPreparation")
    if preparation:
        with preparation.at("commandLine"):
            job = job.job_preparation(preparation.required("commandLine"))
    constraints = file.section("constraints")
    limit = constraints.text("maxWallClockTime") if constraints else None
    if constraints is None or limit is None:
        return job
    try:
        duration: object = Deserializer.deserialize_duration(limit)  # type: ignore[no-untyped-call]
    except (DeserializationError, OverflowError) as error:
        problem = f"{limit!r} is no duration: write it as ISO 8601 has it, such as 'PT12H'"
        raise constraints.error("maxWallClockTime", problem) from error
    if not isinstance(duration, timedelta):  # months and years are of no fixed length
        raise constraints.error(
            "maxWallClockTime", f"{limit!r} is of no fixed length: count days, as in 'P30D'"
        )
    with constraints.at("maxWallClockTime"):
        return job.max_wall_clock_time(duration)
