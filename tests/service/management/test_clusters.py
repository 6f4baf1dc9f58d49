"""Clusters."""

import json

import pytest


def test_creating_answers_202_and_shows_defaults(api, plane, workspace, cluster_body) -> None:
    """The answer is empty; a GET shows every default and no secret."""
    path = f"{workspace}/clusters/c"
    begun = api("PUT", path, cluster_body())
    assert (begun.status_code, begun.content, begun.headers["Retry-After"]) == (202, b"", "1")
    polled = api.session.get(begun.headers["Azure-AsyncOperation"], timeout=30).json()
    assert polled["status"] == "Succeeded"
    properties = api("GET", path).json()["properties"]
    for name in list(properties):
        if name.endswith("Time"):
            del properties[name]
    assert properties == {
        "provisioningState": "succeeded",
        "allocationState": "steady",
        "vmSize": "STANDARD_NC6",
        "currentNodeCount": 1,
        "nodeStateCounts": {
            "runningNodeCount": 0,
            "idleNodeCount": 1,
            "unusableNodeCount": 0,
            "preparingNodeCount": 0,
            "leavingNodeCount": 0,
        },
        "vmPriority": "dedicated",
        "scaleSettings": {"manual": {"targetNodeCount": 1, "nodeDeallocationOption": "requeue"}},
        "virtualMachineConfiguration": {
            "imageReference": {
                "publisher": "Canonical",
                "offer": "UbuntuServer",
                "sku": "16.04-LTS",
                "version": "latest",
            }
        },
        "userAccountSettings": {"adminUserName": "demo"},
        "nodeSetup": {
            "mountVolumes": {
                "azureFileShares": [
                    {
                        "accountName": plane.account,
                        "azureFileUrl": f"https://{plane.account}.file.core.windows.net/share",
                        "credentials": {},
                        "relativeMountPath": "afs",
                        "fileMode": "0777",
                        "directoryMode": "0777",
                    }
                ]
            }
        },
    }


def test_secrets_are_recorded_apart(api, plane, workspace, cluster_body, file_share) -> None:
    """The scheduler finds them; no answer shows them."""
    setup = {
        "mountVolumes": {"azureFileShares": [file_share()]},
        "setupTask": {
            "commandLine": "true",
            "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/afs",
            "secrets": [{"name": "TOKEN", "value": "hush"}],
        },
    }
    shown = api.made(f"{workspace}/clusters/s", cluster_body(nodeSetup=setup))
    assert shown["properties"]["nodeSetup"]["setupTask"]["secrets"] == [{"name": "TOKEN"}]
    suffix = shown["properties"]["nodeSetup"]["setupTask"]["stdOutErrPathSuffix"]
    assert "/workspaces/workspace/clusters/s/" in suffix
    text = json.dumps(shown)
    assert "hush" not in text
    assert "pass-word" not in text
    assert plane.account_key not in text
    with plane.store.read() as records:
        row = records.execute(
            "SELECT properties, secrets FROM resources WHERE key = ?", (shown["id"].lower(),)
        ).fetchone()
    assert json.loads(row["secrets"]) == {
        "accountKeys": {"afs": plane.account_key},
        "adminUserPassword": "pass-word",
        "setupTask": {"environment": {"TOKEN": "hush"}},
    }
    assert "hush" not in row["properties"]


def test_the_scheduler_is_told_of_the_cluster(
    api, plane, workspace, cluster_body, scheduler
) -> None:
    """The row that it acts on says how many nodes there shall be."""
    scheduler.held.set()
    scale = {"autoScale": {"minimumNodeCount": 1, "maximumNodeCount": 4, "initialNodeCount": 3}}
    shown = api.made(f"{workspace}/clusters/a", cluster_body(scaleSettings=scale))
    with plane.store.read() as records:
        row = records.execute(
            "SELECT * FROM clusters WHERE key = ?", (shown["id"].lower(),)
        ).fetchone()
    assert (row["target_nodes"], row["allocation_state"]) == (3, "resizing")
    shown = api.made(f"{workspace}/clusters/none", cluster_body(scaleSettings=None))
    assert shown["properties"]["scaleSettings"]["manual"]["targetNodeCount"] == 0
    assert shown["properties"]["allocationState"] == "steady"


def test_the_same_request_again_shows_the_cluster(api, cluster, cluster_body) -> None:
    """An identical PUT is no conflict."""
    answer = api("PUT", cluster, cluster_body())
    assert (answer.status_code, answer.json()) == (200, api("GET", cluster).json())


@pytest.mark.parametrize(
    "changed",
    [
        {"vmSize": "STANDARD_D1"},
        {"userAccountSettings": {"adminUserName": "demo", "adminUserPassword": "other"}},
    ],
)
def test_another_request_is_a_conflict(api, cluster, cluster_body, changed: dict) -> None:
    """A cluster cannot be changed by PUT, its secrets neither."""
    answer = api("PUT", cluster, cluster_body(**changed))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ClusterAlreadyExists")


def test_scaling(api, cluster: str, scheduler) -> None:
    """The answer shows the old allocation state; a GET a moment later shows resizing."""
    scheduler.held.set()
    before = api("GET", cluster)
    scale = {"properties": {"scaleSettings": {"manual": {"targetNodeCount": 0}}}}
    answer = api("PATCH", cluster, scale)
    assert answer.status_code == 200
    assert answer.json()["properties"]["allocationState"] == "steady"
    assert answer.json()["properties"]["scaleSettings"]["manual"]["targetNodeCount"] == 0
    assert answer.headers["ETag"] != before.headers["ETag"]
    after = api("GET", cluster)
    assert after.json()["properties"]["allocationState"] == "resizing"
    assert after.headers["ETag"] == answer.headers["ETag"]


def test_automatic_scaling_keeps_the_size_in_bounds(api, cluster: str) -> None:
    """The initial count is for creation only."""
    scale = {"autoScale": {"minimumNodeCount": 2, "maximumNodeCount": 4, "initialNodeCount": 4}}
    api("PATCH", cluster, {"properties": {"scaleSettings": scale}})
    assert api("GET", cluster).json()["properties"]["currentNodeCount"] == 2


def test_the_scheduler_reports_errors(api, plane, cluster: str) -> None:
    """What it writes is shown."""
    errors = [{"code": "ShareMountFailed", "message": "no", "details": []}]
    plane.execute(
        "UPDATE clusters SET errors = ? WHERE key = ?",
        json.dumps(errors),
        f"/subscriptions/{plane.subscription}{cluster}".lower(),
    )
    assert api("GET", cluster).json()["properties"]["errors"] == errors


def test_lists(api, cluster: str) -> None:
    """A cluster is listed as a GET shows it."""
    listed = api("GET", cluster.rpartition("/")[0]).json()["value"]
    assert listed == [api("GET", cluster).json()]


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_cluster_with_jobs_cannot_be_deleted(
    *, api, plane, cluster, experiment, job_body, state: str
) -> None:
    """A job that waits or runs would be lost; the answer names it."""
    job = api.made(f"{experiment}/jobs/j", job_body())["id"]
    plane.execute("UPDATE jobs SET execution_state = ? WHERE key = ?", state, job.lower())
    answer = api("DELETE", cluster)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ClusterInUse")
    assert job in answer.json()["error"]["message"]
    plane.execute("UPDATE jobs SET execution_state = 'succeeded' WHERE key = ?", job.lower())
    assert api("DELETE", cluster).status_code == 202
    assert api("GET", cluster).status_code == 404
    assert api("GET", f"{experiment}/jobs/j").status_code == 200


def test_a_workspace_goes_with_its_clusters_and_their_jobs(
    api, workspace, experiment, job_body
) -> None:
    """Queued jobs inside of it do not hold up what deletes them too."""
    api.made(f"{experiment}/jobs/j", job_body())
    assert api("DELETE", workspace).status_code == 202
    assert api("GET", workspace).status_code == 404


def test_a_workspace_stays_while_jobs_elsewhere_need_its_cluster(
    api, group, workspace, job_body
) -> None:
    """A job may run on a cluster of another workspace."""
    other = f"{group}/providers/Microsoft.BatchAI/workspaces/other"
    api.made(other, {"location": "eastus"})
    api.made(f"{other}/experiments/e")
    api.made(f"{other}/experiments/e/jobs/j", job_body())
    answer = api("DELETE", workspace)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "WorkspaceInUse")
    assert api("DELETE", group, version="2021-04-01").status_code == 202
