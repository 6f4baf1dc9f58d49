"""Output on shares and containers of other endpoints: where it is, what is listed, and links."""

import json
from datetime import datetime, timezone

import pytest

from batchai_recipes.service.management.output_files import locate_outputs
from batchai_recipes.service.management.remote_output import RemoteOutput, marked

SEGMENT = "s/jobs/j/uid"
EXPIRY = datetime(2030, 1, 1, tzinfo=timezone.utc)


def located(plane, prefix, *, key):
    """Work out where the output of a job lies that mounts a container; its cluster a share."""
    container = {"accountName": "blobs", "containerName": "data", "relativeMountPath": "bfs"}
    share = {
        "azureFileUrl": f"http://127.0.0.1:9/{plane.account}/data",
        "relativeMountPath": "afs",
    }
    properties = {
        "stdOutErrPathPrefix": prefix,
        "jobOutputDirectoryPathSegment": SEGMENT,
        "mountVolumes": {"azureBlobFileSystems": [container]},
    }
    cluster = {"nodeSetup": {"mountVolumes": {"azureFileShares": [share]}}}
    owners = {"job": ("job-uid", {"bfs": "a2V5"}), "cluster": ("cluster-uid", {"afs": key})}
    with plane.store.read() as records:
        return locate_outputs(properties, cluster, marked(records, owners))["stdouterr"]


@pytest.mark.parametrize(
    ("prefix", "owner", "mount_path"),
    [
        ("$AZ_BATCHAI_MOUNT_ROOT/afs", "cluster-uid", "afs"),
        ("$AZ_BATCHAI_JOB_MOUNT_ROOT/bfs/x", "job-uid", "bfs"),
    ],
)
def test_what_the_key_does_not_open_is_at_another_endpoint(plane, prefix, owner, mount_path):
    """Also an account of the same name as the service's own."""
    location = located(plane, prefix, key="b3RoZXI=")
    assert (location.owner, location.mount_path) == (owner, mount_path)
    assert location.path.endswith(f"{SEGMENT}/stdouterr")


def test_what_the_key_opens_is_the_services_own(plane):
    """It is listed from the disk."""
    location = located(plane, "$AZ_BATCHAI_MOUNT_ROOT/afs", key=plane.account_key)
    assert (location.account, location.owner) == (plane.account, "")


@pytest.fixture
def remote(plane):
    """A container that a job wrote to, and the location of its output there."""
    location = located(plane, "$AZ_BATCHAI_JOB_MOUNT_ROOT/bfs", key="x")
    folder = plane.state.volume_copy("job-uid", "bfs")
    folder.mkdir(parents=True, exist_ok=True)
    place = {"kind": "blobs", "account": "blobs", "endpoint": "http://h/blobs", "name": "data"}
    (folder / "place.json").write_text(json.dumps(place))
    moment = int(EXPIRY.timestamp()) * 10**9
    files = {
        "in.txt": [1, moment, 7, "v"],
        f"{location.path}/stdout.txt": [5, moment, 8, "v"],
        f"{location.path}/deep/er/file 1": [0, moment, 9, "v"],
    }
    directories = [location.path, f"{location.path}/deep", f"{location.path}/empty"]
    (folder / "manifest.json").write_text(json.dumps({"files": files, "directories": directories}))
    with plane.store.read() as records:
        return RemoteOutput.load(records, plane.state, location), location


def test_what_has_been_copied_back_is_listed(remote):
    """Files with size and time, and directories, of one directory."""
    output, location = remote
    found = [
        (file.name, file.path is None, file.length) for file in output.files(location.path, ".")
    ]
    assert found == [("deep", True, 0), ("empty", True, 0), ("stdout.txt", False, 5)]
    (file,) = output.files(location.path, "deep/er")
    assert (file.name, file.modified) == ("file 1", EXPIRY)
    assert output.files(location.path, "/deep/./er/") == [file]
    assert output.files(location.path, "nowhere") == []


def test_without_a_manifest_nothing_is_known(plane):
    """As before the first copy."""
    location = located(plane, "$AZ_BATCHAI_MOUNT_ROOT/afs", key="x")
    with plane.store.read() as records:
        assert RemoteOutput.load(records, plane.state, location) is None
