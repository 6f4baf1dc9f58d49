"""What the pipeline makes of a handler that fails."""

import logging
import sqlite3

import pytest


@pytest.fixture
def broken_record(plane, workspace: str) -> str:
    """The path of a workspace whose record no release would have written."""
    key = f"/subscriptions/{plane.subscription}{workspace}".lower()
    plane.execute("UPDATE resources SET properties = '{' WHERE key = ?", key)
    yield workspace
    plane.execute("UPDATE resources SET properties = '{}' WHERE key = ?", key)


def test_a_failure_is_a_500_with_an_id_and_no_traceback(api, broken_record, caplog) -> None:
    """The log has the traceback under the id that the client got."""
    answer = api("GET", broken_record)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "InternalServerError")
    assert "Traceback" not in answer.text
    [line] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert answer.headers["request-id"] in line.getMessage()
    assert line.exc_info is not None


def test_a_failure_to_write_changes_nothing(api, plane, workspace: str, monkeypatch) -> None:
    """A disk that is full is told, and nothing half-made stays."""

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("batchai_recipes.service.management.experiments.resources.add", fail)
    assert api("PUT", f"{workspace}/experiments/e").status_code == 500
    assert api("GET", f"{workspace}/experiments/e").status_code == 404
