"""What a request for a cluster may say."""

import copy
import logging

import pytest

from batchai_recipes.service.management import cluster_properties
from batchai_recipes.service.management.bodies import read_body
from batchai_recipes.service.management.errors import ManagementError


def _refused(body: dict) -> ManagementError:
    with pytest.raises(ManagementError) as caught:
        read_body(cluster_properties.CREATE, body)
    assert caught.value.status == 400
    return caught.value


def _with(body: dict, path: str, value: object) -> dict:
    body = copy.deepcopy(body)
    place, *rest = path.split("/")
    inner = body["properties"]
    for name in rest:
        inner = inner.setdefault(place, {})
        place = name
    inner[place] = value
    return body


@pytest.mark.parametrize(
    ("path", "value", "code", "target"),
    [
        ("vmSize", None, "MissingRequiredProperty", "properties.vmSize"),
        ("vmSize", 6, "InvalidPropertyValue", "properties.vmSize"),
        ("vmSize", " ", "InvalidPropertyValue", "properties.vmSize"),
        ("vmPriority", "cheap", "InvalidPropertyValue", "properties.vmPriority"),
        ("scaleSettings", {}, "InvalidPropertyValue", "properties.scaleSettings"),
        (
            "scaleSettings/manual/targetNodeCount",
            -1,
            "InvalidPropertyValue",
            "properties.scaleSettings.manual.targetNodeCount",
        ),
        (
            "scaleSettings/manual/targetNodeCount",
            True,
            "InvalidPropertyValue",
            "properties.scaleSettings.manual.targetNodeCount",
        ),
        (
            "scaleSettings/manual/targetNodeCount",
            2**31,
            "InvalidPropertyValue",
            "properties.scaleSettings.manual.targetNodeCount",
        ),
        (
            "scaleSettings/autoScale",
            {"minimumNodeCount": 0, "maximumNodeCount": 1},
            "InvalidPropertyValue",
            "properties.scaleSettings",
        ),
        (
            "userAccountSettings/adminUserName",
            None,
            "MissingRequiredProperty",
            "properties.userAccountSettings.adminUserName",
        ),
        ("nodeSetup", [], "InvalidPropertyValue", "properties.nodeSetup"),
        (
            "nodeSetup/mountVolumes/fileServers",
            [{}],
            "MissingRequiredProperty",
            "properties.nodeSetup.mountVolumes.fileServers[0].fileServer",
        ),
    ],
)
def test_mistakes_are_named(cluster_body, path, value, code: str, target: str) -> None:
    """The error says which property is wrong."""
    error = _refused(_with(cluster_body(), path, value))
    assert (error.code, error.target) == (code, target)
    assert target in error.message


@pytest.mark.parametrize(
    ("bounds", "target"),
    [((2, 1, 0), "minimumNodeCount"), ((0, 1, 2), "initialNodeCount")],
)
def test_the_bounds_of_automatic_scaling_are_in_order(cluster_body, bounds, target: str) -> None:
    """Minimum and initial are at most the maximum."""
    names = ("minimumNodeCount", "maximumNodeCount", "initialNodeCount")
    scale = {"autoScale": dict(zip(names, bounds, strict=True))}
    error = _refused(cluster_body(scaleSettings=scale))
    assert error.target == f"properties.scaleSettings.autoScale.{target}"


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        ({"accountName": "UPPER"}, "accountName"),
        ({"accountName": "another"}, "azureFileUrl"),
        ({"azureFileUrl": "https://example.com"}, "azureFileUrl"),
        ({"credentials": {}}, "credentials.accountKey"),
        ({"credentials": {"accountKeySecretReference": {"secretUrl": "u"}}}, "credentials"),
        ({"relativeMountPath": "/"}, "relativeMountPath"),
        ({"relativeMountPath": "../up"}, "relativeMountPath"),
        ({"fileMode": "rwx"}, "fileMode"),
    ],
)
def test_mistakes_in_file_shares_are_named(cluster_body, file_share, changes, target) -> None:
    """The error says which share, and which property of it, and shows no key."""
    volumes = {"azureFileShares": [{**file_share(), **changes}]}
    error = _refused(cluster_body(nodeSetup={"mountVolumes": volumes}))
    prefix = "properties.nodeSetup.mountVolumes.azureFileShares[0]."
    assert error.target is not None
    assert error.target.startswith(prefix + target)
    assert file_share()["credentials"]["accountKey"] not in error.message


@pytest.mark.parametrize("second", ["afs", "afs/", "afs/inner"])
def test_mount_points_do_not_overlap(cluster_body, file_share, second: str) -> None:
    """One would hide the other."""
    volumes = {"azureFileShares": [file_share(), file_share(at=second)]}
    error = _refused(cluster_body(nodeSetup={"mountVolumes": volumes}))
    assert error.target is not None
    assert error.target.endswith("azureFileShares[1].relativeMountPath")


CONTAINER = {
    "accountName": "demo",
    "containerName": "data",
    "credentials": {"accountKey": "a2V5"},
    "relativeMountPath": "bfs",
}
FILE_SERVER = {"fileServer": {"id": "/a/server"}, "relativeMountPath": "nfs"}
UNMANAGED = {"mountCommand": "mount --bind /data", "relativeMountPath": "data"}


@pytest.mark.parametrize(
    ("kind", "volume", "target"),
    [
        ("azureBlobFileSystems", CONTAINER | {"containerName": "UPPER"}, "containerName"),
        ("azureBlobFileSystems", CONTAINER | {"containerName": "a--b"}, "containerName"),
        ("azureBlobFileSystems", CONTAINER | {"mountOptions": "-o 'ro"}, "mountOptions"),
        ("azureBlobFileSystems", CONTAINER | {"credentials": {}}, "credentials.accountKey"),
        ("azureBlobFileSystems", CONTAINER | {"relativeMountPath": ".."}, "relativeMountPath"),
        ("fileServers", FILE_SERVER | {"sourceDirectory": "a/../.."}, "sourceDirectory"),
        ("fileServers", FILE_SERVER | {"relativeMountPath": "a/../.."}, "relativeMountPath"),
        ("unmanagedFileSystems", UNMANAGED | {"mountCommand": "mount -t nfs h:/x"}, "mountCommand"),
        ("unmanagedFileSystems", UNMANAGED | {"relativeMountPath": "$HOME"}, "relativeMountPath"),
    ],
)
def test_mistakes_in_other_volumes_are_named(cluster_body, kind, volume, target) -> None:
    """The error says which volume, and which property of it."""
    error = _refused(cluster_body(nodeSetup={"mountVolumes": {kind: [volume]}}))
    assert error.target == f"properties.nodeSetup.mountVolumes.{kind}[0].{target}"


def test_mount_points_of_all_kinds_do_not_overlap(cluster_body, file_share) -> None:
    """Whichever two of them."""
    volumes = {
        "azureFileShares": [file_share()],
        "azureBlobFileSystems": [CONTAINER | {"relativeMountPath": "a/b"}],
        "unmanagedFileSystems": [UNMANAGED | {"relativeMountPath": "a"}],
    }
    error = _refused(cluster_body(nodeSetup={"mountVolumes": volumes}))
    assert error.target is not None
    assert error.target.endswith("unmanagedFileSystems[0].relativeMountPath")


def test_the_keys_of_containers_are_secret_too(cluster_body) -> None:
    """They are kept by mount path, and never shown."""
    volumes = {"azureBlobFileSystems": [CONTAINER]}
    body = read_body(cluster_properties.CREATE, cluster_body(nodeSetup={"mountVolumes": volumes}))[
        "properties"
    ]
    assert cluster_properties.hidden(body)["accountKeys"] == {"bfs": "a2V5"}
    assert "a2V5" not in str(cluster_properties.shown(body, "segment"))


def test_a_typo_is_answered_with_the_nearest_property(cluster_body) -> None:
    """An unknown property is refused instead of ignored."""
    error = _refused(_with(cluster_body(), "scaleSettings/manual", {"targetNodecount": 1}))
    assert error.code == "InvalidRequestContent"
    assert error.message.endswith("Did you mean 'targetNodeCount'?")


@pytest.mark.parametrize("name", ["AZ_BATCHAI_MOUNT_ROOT", "az_batch_x", "1A", "A-B", ""])
def test_variables_of_the_service_are_reserved(cluster_body, name: str) -> None:
    """A set-up task cannot set them either."""
    task = {
        "commandLine": "true",
        "stdOutErrPathPrefix": "/",
        "environmentVariables": [{"name": name, "value": "x"}],
    }
    error = _refused(cluster_body(nodeSetup={"setupTask": task}))
    assert error.target == "properties.nodeSetup.setupTask.environmentVariables[0].name"


def test_words_are_read_without_regard_to_case(cluster_body) -> None:
    """Old clients wrote LowPriority."""
    body = read_body(cluster_properties.CREATE, cluster_body(vmPriority="LowPriority"))
    assert body["properties"]["vmPriority"] == "lowpriority"


@pytest.mark.parametrize(
    ("size", "lines"), [("STANDARD_NC6", 0), ("Standard_DS3_v2", 0), ("big", 1)]
)
def test_an_odd_vm_size_is_logged(caplog: pytest.LogCaptureFixture, size: str, lines: int) -> None:
    """It is accepted, with a word in the log."""
    caplog.set_level(logging.WARNING)
    cluster_properties.warn_of_vm_size({"vmSize": size})
    assert len(caplog.messages) == lines
