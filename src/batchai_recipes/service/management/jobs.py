"""Jobs: what runs on clusters."""

import json
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from attrs import asdict
from starlette.responses import Response

from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.files.accounts import Accounts
from batchai_recipes.service.files.sas import file_url
from batchai_recipes.service.management import job_properties, operations, resources
from batchai_recipes.service.management.bodies import read_body
from batchai_recipes.service.management.calls import Call, Endpoint
from batchai_recipes.service.management.deletion import delete
from batchai_recipes.service.management.documents import JSONResponse
from batchai_recipes.service.management.errors import (
    ManagementError,
    invalid_parameter,
    suggestion,
)
from batchai_recipes.service.management.kinds import CLUSTER, EXPERIMENT, JOB, names_of
from batchai_recipes.service.management.mount_volumes import check_file_servers
from batchai_recipes.service.management.output_files import (
    OutputFile,
    OutputLocation,
    locate_outputs,
)
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.management.remote_login import remote_login
from batchai_recipes.service.management.remote_output import RemoteOutput, marked
from batchai_recipes.service.management.resource import Resource, new_resource, resource_of
from batchai_recipes.service.management.termination import request_termination

# Clients that wait for a job ask for it over and over.
_JOB: Final = "SELECT * FROM resources JOIN jobs USING (key) WHERE resources.key = ?"
_ENDED: Final = ("succeeded", "failed")
_LINK_MINUTES: Final = 60
_LINK_MINUTES_RANGE: Final = (5, 600)


def begin_create(plane: ManagementPlane, call: Call) -> Response:
    """Begin to make a job (202); show the one that is there if it is the same (200)."""
    name = call.names[JOB.parameter]
    resources.check_name(JOB, name)
    requested = read_body(job_properties.CREATE, call.document)["properties"]
    with plane.store.write() as records:
        experiment = resources.require_parent(records, JOB, call.names)
        existing = resources.find(records, JOB.key(call.names))
        if existing is not None:
            existing.check_changeable(call.preconditions)
            _check_same(records, existing, experiment, requested)
            return _show(records, existing)
        call.preconditions.check(None)
        cluster = _cluster(records, requested["cluster"]["id"])
        volumes = requested.get("mountVolumes", {})
        check_file_servers(records, volumes, "properties.mountVolumes")
        uid = str(uuid.uuid4())
        job_id = JOB.child_id(experiment.id, name)
        shown = job_properties.shown(requested, experiment.name, _path_segment(job_id, uid))
        job = new_resource(JOB, job_id, name, plane.now(), properties=shown)
        resources.add(records, job, experiment, job_properties.hidden(requested))
        _add_row(records, job, uid, cluster)
        operation = operations.done(records, plane, job, "create")
    plane.wake()
    return operations.accepted(plane, call, operation)


def get(plane: ManagementPlane, call: Call) -> Response:
    """Show a job."""
    row = plane.store.one(_JOB, (JOB.key(call.names),))
    if row is not None:
        return _answer(resource_of(row), row)
    with plane.store.read() as records:
        return _show(records, resources.require(records, JOB, call.names))


def list_by_experiment(plane: ManagementPlane, call: Call) -> Response:
    """List the jobs of an experiment."""
    size = call.page_size()
    with plane.store.read() as records:
        experiment = resources.require(records, EXPERIMENT, call.names)
        found = resources.children(records, JOB, experiment.key, call.skipped_to(), size + 1)
        entries = [(one.key, _document(one, row)) for one, row in _with_rows(records, found)]
    return call.page(plane, entries, size)


def begin_delete(plane: ManagementPlane, call: Call) -> Response:
    """Begin to delete a job, ending it first where it runs."""
    return delete(plane, call, JOB)


def begin_terminate(plane: ManagementPlane, call: Call) -> Response:
    """Begin to end a job (202); one that has ended already needs nothing (200)."""
    with plane.store.write() as records:
        job = resources.require(records, JOB, call.names)
        row = _row(records, job)
        if row["execution_state"] in _ENDED:
            return Response(status_code=HTTPStatus.OK)
        request_termination(records, job.key, iso_timestamp(plane.now()))
        operation = operations.begin(records, plane, job, "terminate")
    plane.wake()
    return operations.accepted(plane, call, operation)


def list_output_files(plane: ManagementPlane, call: Call) -> Response:
    """List a directory of a job's output, with addresses where the files can be read."""
    least, most = _LINK_MINUTES_RANGE
    minutes = call.whole("linkexpiryinminutes", _LINK_MINUTES, minimum=least, maximum=most)
    size = call.page_size()
    directory = call.query.get("directory", ".")
    if ".." in directory.split("/") or "\0" in directory:
        raise invalid_parameter(
            "directory", "The directory must be relative to the output directory, without '..'."
        )
    with plane.store.read() as records:
        row = _row(records, resources.require(records, JOB, call.names))
    location = _output_location(json.loads(row["output_locations"]), call)
    after, expires_at = call.skipped_to(), plane.now() + timedelta(minutes=minutes)
    found, url_of = _files(plane, location, directory, expires_at)
    files = [file for file in found if file.name > after]
    entries = [
        (file.name, file.document(None if file.path is None else url_of(file.path)))
        for file in files[: size + 1]
    ]
    return call.page(plane, entries, size)


def _files(
    plane: ManagementPlane, location: OutputLocation, directory: str, expires_at: datetime
) -> tuple[list[OutputFile], Callable[[str], str]]:
    """Return what is in an output directory, and what makes links to the files."""
    if location.owner:
        with plane.store.read() as records:
            remote = RemoteOutput.load(records, plane.state, location)
        if remote is None:
            return [], str
        # Without the key, which goes with the cluster it came with, nobody could read the files.
        files = remote.files(location.path, directory) if remote.key else []
        return files, lambda path: remote.url(path, expires_at)
    account = Accounts(plane.store).get(location.account)
    if account is None:
        return [], str  # it was deleted, with its shares
    base = plane.addresses().files_base
    return location.files(plane.state, directory), lambda path: file_url(
        base, account, location.share, path, expires_at=expires_at
    )


def list_remote_login_information(plane: ManagementPlane, call: Call) -> Response:
    """List the nodes that a job holds, the master first."""
    with plane.store.read() as records:
        job = resources.require(records, JOB, call.names)
        rows = records.execute(
            "SELECT id FROM job_nodes JOIN nodes ON nodes.id = node_id "
            "WHERE job_nodes.job_key = ? AND nodes.job_key = ? ORDER BY task_index",
            (job.key, job.key),
        ).fetchall()
    return JSONResponse({"value": [remote_login(plane, row["id"]) for row in rows]})


def _cluster(records: sqlite3.Connection, cluster_id: str) -> Resource:
    """Return the cluster that a request names by its id."""
    key = cluster_id.rstrip("/").lower()
    cluster = resources.find(records, key)
    if cluster is None or cluster.kind is not CLUSTER:
        near = resources.beside(records, CLUSTER, key)
        nearest = suggestion(cluster_id, [row["id"] for row in near])
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            "ClusterNotFound",
            f"The specified cluster {cluster_id} is not found{nearest}",
            target="properties.cluster.id",
        )
    cluster.check_not_deleting()
    return cluster


def _add_row(records: sqlite3.Connection, job: Resource, uid: str, cluster: Resource) -> None:
    cluster_uid = records.execute("SELECT uid FROM clusters WHERE key = ?", (cluster.key,))
    owners = {
        "job": (uid, resources.secrets_of(records, job.key)["accountKeys"]),
        "cluster": (
            cluster_uid.fetchone()[0],
            resources.secrets_of(records, cluster.key)["accountKeys"],
        ),
    }
    locations = locate_outputs(job.properties, cluster.properties, marked(records, owners))
    records.execute(
        "INSERT INTO jobs (key, uid, cluster_key, priority, node_count, execution_state, "
        "execution_state_at, output_locations) VALUES (?, ?, ?, ?, ?, 'queued', ?, ?)",
        (
            job.key,
            uid,
            cluster.key,
            job_properties.PRIORITIES[job.properties["schedulingPriority"]],
            job.properties["nodeCount"],
            job.created_at,
            json.dumps({name: place and asdict(place) for name, place in locations.items()}),
        ),
    )


def _check_same(
    records: sqlite3.Connection,
    job: Resource,
    experiment: Resource,
    requested: dict[str, Any],
) -> None:
    """Refuse a request that asks for a job other than the one that is there."""
    # Not made anew: it is another one after the job has been requeued.
    segment = job.properties["jobOutputDirectoryPathSegment"]
    asked = job_properties.shown(requested, experiment.name, segment)
    secrets = resources.secrets_of(records, job.key)
    if asked != job.properties or job_properties.hidden(requested) != secrets:
        raise ManagementError(
            HTTPStatus.CONFLICT,
            "JobAlreadyExists",
            f"The job {job.name} already exists with other properties. Choose another name, or "
            "delete it first.",
        )


def _path_segment(job_id: str, uid: str) -> str:
    subscription, group, workspace, experiment, job = names_of(job_id)
    return (
        f"{subscription}/{group}/workspaces/{workspace}/experiments/{experiment}/jobs/{job}/{uid}"
    )


def _output_location(locations: dict[str, Any], call: Call) -> OutputLocation:
    """Return where the output directory lies that a request names."""
    wanted = call.query.get("outputdirectoryid", "")
    names = {name.lower(): name for name in locations}
    name = wanted if wanted in locations else names.get(wanted.lower())
    if name is None:
        valid = ", ".join(sorted(locations))
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            "OutputDirectoryNotFound",
            f"The job has no output directory with the id '{wanted[:100]}'. Its ids are {valid}",
            target="outputdirectoryid",
        )
    if locations[name] is None:
        raise ManagementError(
            HTTPStatus.BAD_REQUEST,
            "OutputDirectoryNotOnFileShare",
            f"The output directory '{name}' is not on a mounted Azure file share, so its files "
            "cannot be listed. Let its path begin with $AZ_BATCHAI_MOUNT_ROOT or "
            "$AZ_BATCHAI_JOB_MOUNT_ROOT and the relativeMountPath of a share.",
            target="outputdirectoryid",
        )
    return OutputLocation(**locations[name])


def _row(records: sqlite3.Connection, job: Resource) -> sqlite3.Row:
    row: sqlite3.Row = records.execute("SELECT * FROM jobs WHERE key = ?", (job.key,)).fetchone()
    return row


def _with_rows(
    records: sqlite3.Connection, jobs: list[Resource]
) -> Iterator[tuple[Resource, sqlite3.Row]]:
    """Return jobs of one experiment, in the order of their keys, each with its row."""
    if not jobs:
        return
    # Nothing but jobs of the experiment lies between its first and its last.
    rows = records.execute(
        "SELECT * FROM jobs WHERE key BETWEEN ? AND ? ORDER BY key", (jobs[0].key, jobs[-1].key)
    )
    yield from zip(jobs, rows, strict=True)


def _document(job: Resource, row: sqlite3.Row) -> dict[str, Any]:
    info = {
        "startTime": row["started_at"],
        "endTime": row["ended_at"],
        "exitCode": row["exit_code"],
        "errors": None if row["errors"] == "[]" else json.loads(row["errors"]),
    }
    known = {name: value for name, value in info.items() if value is not None}
    execution: dict[str, Any] = {
        "executionState": row["execution_state"],
        "executionStateTransitionTime": row["execution_state_at"],
    }
    if known:
        execution["executionInfo"] = known
    return job.document({**job.properties, **job.provisioning(), **execution})


def _show(records: sqlite3.Connection, job: Resource) -> Response:
    return _answer(job, _row(records, job))


def _answer(job: Resource, row: sqlite3.Row) -> Response:
    return JSONResponse(_document(job, row), headers=job.headers)


_OUTPUT_FILES: Final = JOB.path + "/listOutputFiles"
_REMOTE_LOGIN: Final = JOB.path + "/listRemoteLoginInformation"

ROUTES: Final = (
    Endpoint("GET", EXPERIMENT.path + "/jobs", list_by_experiment),
    Endpoint("PUT", JOB.path, begin_create),
    Endpoint("GET", JOB.path, get, quick=True),
    Endpoint("DELETE", JOB.path, begin_delete),
    Endpoint("POST", JOB.path + "/terminate", begin_terminate),
    Endpoint("POST", _OUTPUT_FILES, list_output_files),
    # Azure's clients ask for the first page with POST and follow its nextLink with GET.
    Endpoint("GET", _OUTPUT_FILES, list_output_files),
    Endpoint("POST", _REMOTE_LOGIN, list_remote_login_information, quick=True),
)
"""The endpoints of jobs."""
