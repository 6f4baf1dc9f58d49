"""What requests cost does not grow with the records: each query finds its rows by an index."""

import sqlite3
from collections.abc import Iterator

import pytest

# Lists of which a service has few, and what /metrics counts.
SMALL = ("FROM accounts", "FROM shares")


@pytest.fixture
def statements(plane) -> Iterator[list[str]]:
    """The statements that are executed during a test, on the connections that are open."""
    executed: list[str] = []
    for connection in plane.store._all:
        connection.set_trace_callback(executed.append)
    yield executed
    for connection in plane.store._all:
        connection.set_trace_callback(None)


def _scans(database: sqlite3.Connection, statements: list[str]) -> list[str]:
    """Return the statements that look at every row of a table."""
    return [
        statement
        for statement in statements
        if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH"))
        and not any(table in statement for table in SMALL)
        and any(
            row[3].startswith("SCAN") and "inside" not in row[3] and "around" not in row[3]
            for row in database.execute(f"EXPLAIN QUERY PLAN {statement}")
            if row[3] != "SCAN CONSTANT ROW"
        )
    ]


def test_no_request_looks_at_every_row(api, plane, experiment, cluster, job_body, statements):
    """GET, a page of each list, 404, PUT and DELETE of jobs and what they lie in."""
    path = f"{experiment}/jobs/job"
    workspace = experiment.rpartition("/experiments/")[0]
    group = workspace.partition("/providers/")[0]
    for method, where, body in (
        ("PUT", path, job_body()),
        ("PUT", path, job_body()),
        ("GET", path, None),
        ("GET", f"{path}x", None),
        ("GET", f"{experiment}/jobs?maxresults=1", None),
        ("GET", f"{workspace}/experiments", None),
        ("GET", f"{workspace}/clusters", None),
        ("GET", f"{group}/providers/Microsoft.BatchAI/workspaces", None),
        ("GET", "/providers/Microsoft.BatchAI/workspaces", None),
        ("GET", "/resourceGroups", None),
        ("POST", f"{path}/terminate", None),
        ("DELETE", path, None),
        ("DELETE", cluster, None),
        ("DELETE", experiment, None),
    ):
        assert api(method, where, body).status_code < 500
    scheduler = [one for one in statements if "LEFT JOIN" in one or "allocation_state" in one]
    with plane.store.read() as records:
        assert _scans(records, ["SELECT * FROM jobs WHERE exit_code = 1"])
        scans = _scans(records, [one for one in statements if one not in scheduler])
    scans = [one for one in scans if "ORDER BY rowid LIMIT" not in one]  # the first few rows
    stand_in = ("DELETE FROM resources", "UPDATE jobs SET", "UPDATE operations SET")
    assert [one for one in scans if not one.lstrip().startswith(stand_in)] == []
    assert len(statements) > 50
