"""What those who watch the service see."""

import requests
from prometheus_client.parser import text_string_to_metric_families


def _look(plane, path: str) -> requests.Response:
    """Ask without a token."""
    return requests.get(f"{plane.base}{path}", verify=plane.ca_file, timeout=30)


def _samples(plane) -> dict:
    families = text_string_to_metric_families(_look(plane, "/metrics").text)
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_running_service_is_healthy(plane) -> None:
    """The probe needs no token and tells nothing but that all is well."""
    answer = _look(plane, "/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_requests_are_counted_by_endpoint(api, plane, workspace) -> None:
    """A request counts under its path's template, so that names make no time series."""
    template = (
        "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
        "/providers/Microsoft.BatchAI/workspaces/{workspaceName}"
    )
    counted = ("batchai_requests_total", template, "GET", "200")
    before = _samples(plane).get(counted, 0)
    api("GET", workspace)
    after = _samples(plane)
    assert after[counted] == before + 1
    assert after["batchai_request_seconds_count", "GET"] > 0
    assert workspace not in _look(plane, "/metrics").text


def test_what_is_in_the_records_is_counted(plane, cluster) -> None:
    """Clusters and nodes show by their state."""
    samples = _samples(plane)
    assert samples["batchai_clusters", "steady"] >= 1
    assert samples["batchai_nodes", "idle"] >= 1


def test_made_up_methods_and_paths_make_one_time_series(api, plane) -> None:
    """A client cannot fill the memory by making things up."""
    api("OPTIONS", "/coffee")
    assert any(key[1:3] == ("other", "other") for key in _samples(plane))
    assert "coffee" not in _look(plane, "/metrics").text
