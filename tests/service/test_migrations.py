"""State directories of earlier releases open, with everything that was in them."""

import json
import sqlite3
from pathlib import Path

import pytest
import requests

from batchai_recipes.service.app import Service, ServiceOptions
from batchai_recipes.service.schema import MIGRATIONS
from batchai_recipes.service.store import Store

CREDENTIALS = {
    "tenant_id": "11111111-1111-4111-8111-111111111111",
    "subscription_id": "22222222-2222-4222-8222-222222222222",
    "client_id": "33333333-3333-4333-8333-333333333333",
    "client_secret": "the secret of an old service",
    "account_name": "batchairecipes",
    "account_key": "YW4gb2xkIGtleQ==",
    "second_account_key": "YW5vdGhlciBvbGQga2V5",
}
RECORDS = Path(__file__).with_name("records_of_schema_3.sql")


@pytest.fixture
def old_state(state):
    """A state directory as the first release that could be used left it."""
    state.credentials.write_text(json.dumps(CREDENTIALS))
    database = sqlite3.connect(state.database)
    # As sqlite3's own shell writes it, a dump names tables before those that they refer to.
    database.executescript(RECORDS.read_text(encoding="utf-8"))
    database.close()
    return state


def test_an_old_state_directory_is_taken_up(old_state):
    """Its principal signs in, its job is shown, and new things are made beside it."""
    service = Service(ServiceOptions(old_state))
    address = service.start()
    try:
        answer = requests.post(
            f"{address.endpoint}/adfs/oauth2/token",
            data={
                "grant_type": "client_credentials",
                "client_id": CREDENTIALS["client_id"],
                "client_secret": CREDENTIALS["client_secret"],
                "resource": "https://management.azure.com/",
            },
            verify=address.ca_file,
            timeout=30,
        )
        workspace = (
            f"{address.endpoint}/subscriptions/{CREDENTIALS['subscription_id']}/resourceGroups/"
            "benchmark/providers/Microsoft.BatchAI/workspaces/workspace"
        )

        def ask(method, path):
            return requests.request(
                method,
                f"{workspace}{path}",
                params={"api-version": "2018-05-01"},
                headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
                verify=address.ca_file,
                timeout=30,
            )

        job = ask("GET", "/experiments/experiment/jobs/job").json()["properties"]
        assert job["executionState"] == "queued"
        assert job["customToolkitSettings"] == {"commandLine": "true"}
        assert [one["name"] for one in ask("GET", "/clusters").json()["value"]] == ["cluster"]
        assert ask("PUT", "/experiments/another").status_code == 200
        assert ask("DELETE", "/experiments/experiment/jobs/job").status_code == 202
    finally:
        service.stop()


@pytest.mark.parametrize("version", range(len(MIGRATIONS) + 1))
def test_every_schema_is_brought_forward(tmp_path, version):
    """To the very schema of a new file, in one step or in many."""
    database = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
    for statements in MIGRATIONS[:version]:
        for statement in statements:
            database.execute(statement)
    database.execute(f"PRAGMA user_version={version}")
    database.close()
    for name in ("old.db", "new.db"):
        Store(tmp_path / name).close()

    assert _schema(tmp_path / "old.db") == _schema(tmp_path / "new.db")


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    """The earlier release can still use it."""
    monkeypatch.setattr("batchai_recipes.service.store.MIGRATIONS", MIGRATIONS[:2])
    Store(tmp_path / "state.db").close()
    before = _schema(tmp_path / "state.db")
    broken = (*MIGRATIONS[:3], ("CREATE TABLE half (name TEXT)", "CREATE TABLE half (name TEXT)"))
    monkeypatch.setattr("batchai_recipes.service.store.MIGRATIONS", broken)
    with pytest.raises(OSError, match="half already exists"):
        Store(tmp_path / "state.db")

    assert _schema(tmp_path / "state.db") == before


def _schema(path: Path) -> tuple[int, list[tuple[str, str]]]:
    database = sqlite3.connect(path)
    (version,) = database.execute("PRAGMA user_version").fetchone()
    rows = database.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    database.close()
    return version, rows
