"""File servers: records that clients make, read and delete."""

from pathlib import Path

from deep_folders import make_deep

BODY = {
    "properties": {
        "vmSize": "STANDARD_NC6",
        "sshConfiguration": {
            "publicIPsToAllow": ["10.0.0.0/8"],
            "userAccountSettings": {"adminUserName": "demo", "adminUserPassword": "pass-word"},
        },
        "dataDisks": {"diskSizeInGB": 10, "diskCount": 2, "storageAccountType": "Standard_LRS"},
    }
}


def test_a_file_server_is_made_shown_listed_and_deleted(api, workspace) -> None:
    """The whole life of a file server, without a secret in an answer."""
    path = f"{workspace}/fileServers/server"
    assert api("PUT", path, BODY).status_code == 202
    again = api("PUT", path, BODY)
    assert again.status_code == 200
    shown = api("GET", path).json()
    assert again.json() == shown
    assert shown["type"] == "Microsoft.BatchAI/workspaces/fileservers"
    assert shown["properties"]["dataDisks"]["cachingType"] == "none"
    assert "pass-word" not in again.text
    listed = api("GET", f"{workspace}/fileservers").json()["value"]
    assert listed == [shown]
    assert api("DELETE", path).status_code == 202
    assert api("GET", path).status_code == 404
    assert api("DELETE", path).status_code == 204


def test_a_file_server_has_a_directory_to_put_things_in(api, workspace) -> None:
    """It is there at once, goes with the server, and another one comes with the next one."""
    path = f"{workspace}/fileServers/server"
    first = Path(api.made(path, BODY)["properties"]["mountSettings"]["mountPoint"])
    assert first.is_dir()
    (first / "data").touch()
    api("DELETE", path)
    assert not first.exists()
    again = Path(api.made(path, BODY)["properties"]["mountSettings"]["mountPoint"])
    assert again.is_dir()
    assert again != first


def test_a_file_server_that_is_not_there_cannot_be_mounted(
    api, workspace, cluster_body, job_body, experiment
) -> None:
    """The nearest one that is there is named."""
    server = api.made(f"{workspace}/fileServers/server", BODY)["id"]
    volume = {"fileServer": {"id": server}, "relativeMountPath": "nfs"}
    volumes = {"fileServers": [volume]}
    body = cluster_body(nodeSetup={"mountVolumes": volumes})
    assert api("PUT", f"{workspace}/clusters/with", body).status_code == 202
    volume["fileServer"] = {"id": f"{server}s"}
    for path, wrong, place in (
        (f"{workspace}/clusters/without", body, "nodeSetup.mountVolumes"),
        (f"{experiment}/jobs/without", job_body(mountVolumes=volumes), "mountVolumes"),
    ):
        answer = api("PUT", path, wrong)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "FileServerNotFound")
        assert error["target"] == f"properties.{place}.fileServers[0].fileServer.id"
        assert error["message"].endswith(f"Did you mean '{server}'?")


def test_a_file_server_with_other_properties_is_refused(api, workspace) -> None:
    """A PUT that would change an existing file server answers 409."""
    path = f"{workspace}/fileServers/server"
    api.made(path, BODY)
    other = {"properties": {**BODY["properties"], "vmSize": "STANDARD_D1"}}
    answer = api("PUT", path, other)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "FileServerAlreadyExists"


def test_a_wrong_disk_is_named(api, workspace) -> None:
    """The error names the property."""
    disks = {**BODY["properties"]["dataDisks"], "diskCount": 0}
    body = {"properties": {**BODY["properties"], "dataDisks": disks}}
    answer = api("PUT", f"{workspace}/fileServers/server", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["target"] == "properties.dataDisks.diskCount"


def test_a_deep_disk_goes_with_its_file_server(api, workspace) -> None:
    """A job may go down as far as it likes."""
    path = f"{workspace}/fileServers/server"
    disk = Path(api.made(path, BODY)["properties"]["mountSettings"]["mountPoint"])
    make_deep(disk, 1200)
    assert api("DELETE", path).status_code == 202
    assert not disk.exists()
