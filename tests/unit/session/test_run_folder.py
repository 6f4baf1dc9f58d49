"""What a session leaves that explains it."""

import json
import stat

import pytest

from batchai_recipes import ClusterBuilder, CntkJobBuilder, ConfigurationError, TrainingSession
from batchai_recipes.session.run_folder import RunFolder

JSON = {"Content-Type": "application/json"}
CLUSTER = ClusterBuilder("c").vm_size("STANDARD_NC6").admin_user("me", password="admin-password")
JOB = CntkJobBuilder("j").script("train.py").std_out_err_path_prefix("/tmp")


def rows(path):
    """Read a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def session(batchai, connection, clock, tmp_path):
    """Make a session with short names and a run folder."""

    def make(**options):
        names = {"resource_group": "g", "workspace": "w", "experiment": "e"}
        return TrainingSession(
            CLUSTER,
            connection=connection,
            pacing=clock.pacing(),
            **{"run_folder": tmp_path / "run", **names, **options},
        )

    return make


def test_it_tells_what_was_asked_sent_and_done(batchai, session):
    """In files that are read without this library."""
    batchai.on("GET", "/jobs/j", 404, {"properties": {"executionState": "succeeded"}})
    with session() as running:
        running.submit(JOB)
    folder = running.run_folder
    asked = {row["what"]: row["asked"] for row in rows(folder / "asked.jsonl")}
    sent = rows(folder / "requests.jsonl")
    result = json.loads((folder / "result.json").read_text())
    events = rows(folder / "events.jsonl")

    assert set(asked) == {"session", "cluster", "job"}
    assert asked["cluster"]["size"] == "STANDARD_NC6"
    assert asked["job"]["type"] == "CntkJobBuilder"
    assert [one["what"].split()[-1] for one in sent] == ["g", "w", "c", "e", "j"]
    assert sent[2]["body"]["properties"]["userAccountSettings"]["adminUserPassword"] == "<secret>"
    assert (result["succeeded"], result["left"]) == (True, [])
    assert result["jobs"] == [{"job": "j", "state": "succeeded", "exit_code": None}]
    assert {"job": "j", "state": "succeeded"}.items() <= events[-6].items()
    assert events[-1]["event"] == "Deleting resource group g"


def test_versions_name_each_package(session):
    """And where the service is."""
    with session() as running:
        versions = json.loads((running.run_folder / "versions.json").read_text())

    assert versions["packages"]["azure-mgmt-batchai"].startswith("7.")
    service = {"endpoint": "https://batchai.test", "embedded": False, "version": None}
    assert versions["service"] == service


def test_the_services_version_is_what_it_says(batchai, session):
    """In its answers, from the first on."""
    batchai.raw(
        "GET", "/resourcegroups/g", (404, {**JSON, "Server": "batchai-recipes/9"}, "{}"), None
    )
    with session() as running:
        versions = json.loads((running.run_folder / "versions.json").read_text())

    assert versions["service"]["version"] == "batchai-recipes/9"


def test_metrics_of_jobs_are_kept_without_secrets(batchai, session):
    """As they were written, row by row, with the job's name."""
    text = '{"epoch": 1, "loss": 0.5}\n{"epoch": 2, "note": "admin-password"}\n'
    size = len(text)
    done = {"properties": {"executionState": "succeeded"}}
    batchai.on("GET", "/jobs/j", 404, done)
    link = {
        "name": "metrics.jsonl",
        "fileType": "file",
        "downloadUrl": "https://files.test/m?sig=x",
    }
    batchai.on(
        "POST", "/listOutputFiles", {"value": [{**link, "properties": {"contentLength": size}}]}
    )
    octets = {"Content-Type": "application/octet-stream"}
    octets["Content-Range"] = f"bytes 0-{size - 1}/{size}"
    batchai.raw("GET", "/m", (206, octets, text), (416, {}, ""))
    with session() as running:
        running.submit(JOB)
    found = rows(running.run_folder / "metrics.jsonl")

    assert [row["job"] for row in found] == ["j", "j"]
    assert [row["metrics"] for row in found] == [
        {"epoch": 1, "loss": 0.5},
        {"epoch": 2, "note": "<secret>"},
    ]


def test_a_failure_is_the_result(batchai, session):
    """With what could not be deleted."""
    batchai.on("DELETE", "/clusters/c", (409, {"error": {"code": "Conflict", "message": "busy"}}))
    with pytest.raises(ZeroDivisionError), session() as running:
        _ = 1 / 0
    result = json.loads((running.run_folder / "result.json").read_text())

    assert result["error"] == "ZeroDivisionError: division by zero"
    assert result["left"] == ["cluster c"]
    assert "busy" in result["failed_deletions"][0]


def test_it_is_its_owners_alone(session):
    """Whatever the umask."""
    with session() as running:
        pass
    modes = {stat.S_IMODE(path.stat().st_mode) for path in running.run_folder.iterdir()}

    assert stat.S_IMODE(running.run_folder.stat().st_mode) == 0o700
    assert modes == {0o600}


def test_every_session_has_one(session, connection):
    """Beside the journals, when none is named."""
    with session(run_folder=None) as running:
        pass

    assert running.run_folder == connection.journals.parent / "runs" / running.id


def test_a_folder_that_cannot_be_made_is_an_error_before_anything_is_made(
    batchai, session, tmp_path
):
    """With the option that names another."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="name another with run_folder"):
        session(run_folder=tmp_path / "file" / "run").__enter__()

    assert batchai.made("PUT") == []


def test_a_folder_explains_one_session(batchai, session, tmp_path):
    """Another one's is an error before anything is made, and stays as it is."""
    with session(run_folder=tmp_path / "run"):
        pass
    before = (tmp_path / "run" / "events.jsonl").read_text()
    made = len(batchai.made("PUT"))
    with pytest.raises(ConfigurationError, match="holds another session's: name another"):
        session(run_folder=tmp_path / "run").__enter__()

    assert (tmp_path / "run" / "events.jsonl").read_text() == before
    assert len(batchai.made("PUT")) == made


def test_a_full_disk_stops_no_clean_up(batchai, session, monkeypatch):
    """It is reported."""
    said = []

    def full(*_):
        raise OSError(28, "No space left on device")

    with session(report=said.append):
        monkeypatch.setattr("batchai_recipes.session.run_folder._private", full)

    assert batchai.made("DELETE") == ["e", "c", "w", "g"]
    assert [line for line in said if "No space left on device" in line]


def test_a_line_is_without_secrets_wherever_it_goes(tmp_path):
    """The report is a sink like the files."""
    said = []
    folder = RunFolder(tmp_path / "run", said.append)
    folder.protect(["pa55word!"])
    folder.report("with pa55word!")

    assert said == ["with <secret>"]
    assert "pa55word!" not in (tmp_path / "run" / "events.jsonl").read_text()
