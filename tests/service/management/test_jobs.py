"""Jobs."""

import json
import threading

import pytest
import requests


@pytest.fixture
def job(api, experiment: str, job_body) -> str:
    """The path of a new queued job."""
    path = f"{experiment}/jobs/job"
    api.made(path, job_body())
    return path


def test_creating_answers_202_and_shows_defaults(api, plane, experiment, cluster, job_body) -> None:
    """The answer is empty; a GET shows every default as the real service did."""
    path = f"{experiment}/jobs/j"
    begun = api("PUT", path, job_body())
    assert (begun.status_code, begun.content) == (202, b"")
    shown = api("GET", path).json()
    properties = shown["properties"]
    segment = properties.pop("jobOutputDirectoryPathSegment")
    prefix = path.replace("/resourceGroups/", "").replace("providers/Microsoft.BatchAI/", "")
    assert segment.startswith(f"{plane.subscription}/{prefix}/")
    for name in list(properties):
        if name.endswith("Time"):
            del properties[name]
    assert shown["type"] == "Microsoft.BatchAI/workspaces/experiments/jobs"
    assert properties == {
        "experimentName": "experiment",
        "schedulingPriority": "normal",
        "cluster": {"id": f"/subscriptions/{plane.subscription}{cluster}"},
        "nodeCount": 1,
        "toolType": "custom",
        "customToolkitSettings": {"commandLine": "echo hi"},
        "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/afs",
        "constraints": {"maxWallClockTime": "P7D"},
        "provisioningState": "succeeded",
        "executionState": "queued",
    }


def test_the_scheduler_is_told_of_the_job(*, api, plane, experiment, cluster, job_body, file_share):
    """The rows that it acts on hold everything, secrets apart."""
    body = job_body(
        schedulingPriority="high",
        nodeCount=3,
        secrets=[{"name": "TOKEN", "value": "hush"}],
        mountVolumes={"azureFileShares": [file_share(at="own")]},
        containerSettings={
            "imageSourceRegistry": {
                "image": "private",
                "credentials": {"username": "me", "password": "pass"},
            }
        },
    )
    shown = api.made(f"{experiment}/jobs/j", body)
    assert shown["properties"]["secrets"] == [{"name": "TOKEN"}]
    registry = shown["properties"]["containerSettings"]["imageSourceRegistry"]
    assert registry["credentials"] == {"username": "me"}
    assert "hush" not in json.dumps(shown)
    with plane.store.read() as records:
        row = records.execute(
            "SELECT jobs.*, resources.secrets FROM jobs JOIN resources USING (key) WHERE key = ?",
            (shown["id"].lower(),),
        ).fetchone()
    assert (row["priority"], row["node_count"]) == (1, 3)
    assert row["cluster_key"] == f"/subscriptions/{plane.subscription}{cluster}".lower()
    assert row["uid"] in shown["properties"]["jobOutputDirectoryPathSegment"]
    assert json.loads(row["secrets"]) == {
        "environment": {"TOKEN": "hush"},
        "accountKeys": {"own": plane.account_key},
        "registryPassword": "pass",
    }


def test_the_same_request_again_shows_the_job(api, job: str, job_body) -> None:
    """An identical PUT is no conflict; any other is."""
    answer = api("PUT", job, job_body())
    assert (answer.status_code, answer.json()) == (200, api("GET", job).json())
    answer = api("PUT", job, job_body(nodeCount=2))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "JobAlreadyExists")


def test_an_unknown_cluster_is_refused(api, experiment, cluster, job_body) -> None:
    """The nearest cluster is named."""
    body = job_body()
    body["properties"]["cluster"]["id"] += "s"
    answer = api("PUT", f"{experiment}/jobs/j", body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "ClusterNotFound")
    assert error["target"] == "properties.cluster.id"
    assert f"{cluster}'?" in error["message"]


def test_the_scheduler_reports_the_end(api, plane, job: str) -> None:
    """What it writes is shown; the etag does not change."""
    before = api("GET", job)
    errors = [{"code": "JobFailed", "message": "Job failed with non-zero exit code"}]
    plane.execute(
        "UPDATE jobs SET execution_state = 'failed', started_at = '2018-06-06T20:26:26.529Z', "
        "ended_at = '2018-06-06T20:26:28.185Z', exit_code = 1, errors = ? WHERE key = ?",
        json.dumps(errors),
        before.json()["id"].lower(),
    )
    after = api("GET", job)
    assert after.json()["properties"]["executionInfo"] == {
        "startTime": "2018-06-06T20:26:26.529Z",
        "endTime": "2018-06-06T20:26:28.185Z",
        "exitCode": 1,
        "errors": errors,
    }
    assert before.headers["ETag"] == after.headers["ETag"]
    terminated = api("POST", f"{job}/terminate")
    assert (terminated.status_code, terminated.content) == (200, b"")


def test_terminating_a_running_job(api, plane, job: str, scheduler) -> None:
    """It is terminating until its processes are gone; asking again joins the operation."""
    scheduler.held.set()
    key = api("GET", job).json()["id"].lower()
    plane.execute("UPDATE jobs SET execution_state = 'running' WHERE key = ?", key)
    first, second = api("POST", f"{job}/terminate"), api("POST", f"{job}/terminate")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.headers["Location"] == second.headers["Location"]
    assert api("GET", job).json()["properties"]["executionState"] == "terminating"
    scheduler.settle()
    properties = api("GET", job).json()["properties"]
    assert properties["executionState"] == "failed"
    assert properties["executionInfo"]["errors"][0]["code"] == "JobTerminated"


def test_a_poll_waits_for_the_end(api, job: str, scheduler) -> None:
    """A client that asks while the work is under way hears of its end in the same answer."""
    scheduler.held.set()
    begun = api("DELETE", job)
    scheduler.changes.waited_for.clear()
    answers: list[requests.Response] = []

    def ask() -> None:
        answers.append(api.session.get(begun.headers["Azure-AsyncOperation"], timeout=30))

    client = threading.Thread(target=ask)
    client.start()
    assert scheduler.changes.waited_for.wait(10)
    scheduler.settle()
    client.join()
    assert answers[0].json()["status"] == "Succeeded"


def test_a_poll_ends_before_the_work(api, job: str, scheduler) -> None:
    """After a second the client is told to come again."""
    scheduler.held.set()
    begun = api("DELETE", job)
    answer = api.session.get(begun.headers["Azure-AsyncOperation"], timeout=30)
    assert (answer.status_code, answer.json()["status"]) == (200, "InProgress")
    assert answer.headers["Retry-After"] == "1"
    assert set(answer.json()) == {"id", "name", "status", "startTime"}


def test_an_unknown_operation_is_not_found(api) -> None:
    """There is nothing to wait for."""
    path = "/providers/Microsoft.BatchAI/locations/northeurope/operationresults/none"
    answer = api("GET", path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "OperationNotFound")


def test_a_failed_operation_tells_why(api, plane, job: str, scheduler) -> None:
    """The error that the scheduler wrote is shown."""
    scheduler.held.set()
    begun = api("DELETE", job)
    operation = begun.headers["Location"].rpartition("/")[2].partition("?")[0]
    plane.execute(
        "UPDATE operations SET status = 'Failed', ended_at = '2018-06-06T20:26:28Z', error = ? "
        "WHERE id = ?",
        json.dumps({"code": "Odd", "message": "it failed"}),
        operation,
    )
    shown = api.session.get(begun.headers["Location"], timeout=30).json()
    assert (shown["status"], shown["error"]["code"]) == ("Failed", "Odd")


def test_lists_deletes_and_logins(api, experiment: str, job: str) -> None:
    """A queued job is listed as it is shown, has no node to log in to, and goes when deleted."""
    assert api("GET", f"{experiment}/jobs").json()["value"] == [api("GET", job).json()]
    assert api("POST", f"{job}/listRemoteLoginInformation").json() == {"value": []}
    assert api("DELETE", job).status_code == 202
    assert api("GET", job).json()["error"]["code"] == "JobNotFound"
    assert api("DELETE", job).status_code == 204
    assert api("POST", f"{job}/terminate").status_code == 404
