"""The nodes of clusters and jobs: how to reach them, and how to have one taken away."""

import pytest

EVICTION = "simulateEviction"


@pytest.fixture
def nodes(api, plane, cluster: str) -> list[str]:
    """The ids of a cluster's nodes, two of them."""
    two = {"scaleSettings": {"manual": {"targetNodeCount": 2}}}
    assert api("PATCH", cluster, {"properties": two}).status_code == 200
    found = api("POST", f"{cluster}/listRemoteLoginInformation").json()["value"]
    assert len(found) == 2
    return [node["nodeId"] for node in found]


@pytest.fixture
def low_priority(api, workspace: str, cluster_body) -> str:
    """A cluster of one low-priority node."""
    path = f"{workspace}/clusters/low"
    api.made(path, cluster_body(vmPriority="lowpriority"))
    return path


def test_the_nodes_of_a_cluster_are_this_machine(api, plane, cluster: str, nodes) -> None:
    """Its address as the service is reached, and the port of SSH."""
    found = api("POST", f"{cluster}/listRemoteLoginInformation").json()["value"]
    assert {(node["ipAddress"], node["port"]) for node in found} == {("127.0.0.1", 22)}
    assert len({node["nodeId"] for node in found}) == 2
    assert api("POST", f"{cluster}x/listRemoteLoginInformation").status_code == 404


def test_a_job_lists_the_nodes_that_it_holds(api, plane, experiment: str, job_body, nodes) -> None:
    """The master first; none before it starts and after it has ended."""
    path = f"{experiment}/jobs/j"
    key = api.made(path, job_body(nodeCount=2))["id"].lower()

    def listed() -> list[str]:
        found = api("POST", f"{path}/listRemoteLoginInformation").json()["value"]
        return [node["nodeId"] for node in found]

    assert listed() == []
    for index, node in enumerate(reversed(nodes)):
        plane.execute("INSERT INTO job_nodes VALUES (?, ?, ?)", key, node, index)
        plane.execute("UPDATE nodes SET job_key = ? WHERE id = ?", key, node)
    assert listed() == [*reversed(nodes)]
    plane.execute("UPDATE nodes SET job_key = NULL")
    assert listed() == []


def test_a_low_priority_node_can_be_taken_away(api, plane, low_priority: str, scheduler) -> None:
    """It leaves at once, and the scheduler is told."""
    scheduler.held.set()
    assert api("POST", f"{low_priority}/{EVICTION}").status_code == 204
    shown = api("GET", low_priority).json()["properties"]
    assert shown["nodeStateCounts"]["leavingNodeCount"] == 1
    assert shown["currentNodeCount"] == 1
    with plane.store.read() as records:
        row = records.execute(
            "SELECT preempted, unsettled FROM nodes JOIN clusters ON clusters.key = cluster_key "
            "WHERE cluster_key LIKE ?",
            (f"%{low_priority.lower()}",),
        ).fetchone()
    assert tuple(row) == (1, 1)


def test_the_node_can_be_named(api, low_priority: str, scheduler) -> None:
    """A typo is answered with the nearest node."""
    scheduler.held.set()
    (node,) = api("POST", f"{low_priority}/listRemoteLoginInformation").json()["value"]
    wrong = api("POST", f"{low_priority}/{EVICTION}", {"nodeId": node["nodeId"] + "x"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (404, "NodeNotFound")
    assert node["nodeId"] in wrong.json()["error"]["message"]
    assert api("POST", f"{low_priority}/{EVICTION}", {"nodeId": node["nodeId"]}).status_code == 204
    again = api("POST", f"{low_priority}/{EVICTION}")
    assert (again.status_code, again.json()["error"]["code"]) == (404, "NodeNotFound")


def test_dedicated_nodes_are_never_preempted(api, cluster: str) -> None:
    """The refusal says which cluster has nodes that are."""
    answer = api("POST", f"{cluster}/{EVICTION}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ClusterNotLowPriority")
    assert "lowpriority" in answer.json()["error"]["message"]
    assert api("POST", f"{cluster}/{EVICTION}", {"node": "x"}).status_code == 400


def test_scaling_goes_from_manual_to_automatic_and_back(api, cluster: str) -> None:
    """The present size is kept in bounds, then set."""

    def scaled(settings: dict) -> dict:
        answer = api("PATCH", cluster, {"properties": {"scaleSettings": settings}})
        assert answer.status_code == 200
        return api("GET", cluster).json()["properties"]

    bounds = {"minimumNodeCount": 2, "maximumNodeCount": 4, "initialNodeCount": 0}
    automatic = scaled({"autoScale": bounds})
    assert automatic["scaleSettings"] == {"autoScale": bounds}
    assert automatic["currentNodeCount"] == 2
    manual = scaled({"manual": {"targetNodeCount": 3, "nodeDeallocationOption": "terminate"}})
    assert "autoScale" not in manual["scaleSettings"]
    assert manual["currentNodeCount"] == 3
