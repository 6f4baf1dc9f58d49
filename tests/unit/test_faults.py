"""Faults of the network and of services, on the level of HTTP; nothing waits for real."""

import itertools
import logging

import pytest
import requests

from batchai_recipes import (
    CleanUpError,
    ClusterBuilder,
    CntkJobBuilder,
    FileShareStaging,
    JobRun,
    RequestError,
    StagingError,
    TrainingSession,
    WaitTimeoutError,
)
from batchai_recipes.runs.job_place import JobPlace
from batchai_recipes.session.journal import abandoned
from batchai_recipes.session.made import Made

ENDPOINT = "https://batchai.test"
OPERATION = f"{ENDPOINT}/operations/1"
CLUSTER = ClusterBuilder("c").vm_size("STANDARD_NC6")
JOB = CntkJobBuilder("j").script("train.py").std_out_err_path_prefix("$AZ_BATCHAI_MOUNT_ROOT")
JSON = {"Content-Type": "application/json"}
MISSING = (404, {"error": {"code": "ResourceNotFound", "message": "it is not found"}})
READY = {
    "properties": {
        "allocationState": "steady",
        "currentNodeCount": 1,
        "scaleSettings": {"manual": {"targetNodeCount": 1}},
        "nodeStateCounts": {"idleNodeCount": 1},
    }
}
MADE = (200, JSON, '{"properties": {}}')
LISTING = (200, {}, "<EnumerationResults><Entries/><NextMarker/></EnumerationResults>")
KEPT = None  # as the fixture answers
BUSY = (503, {}, "")
THROTTLED = (429, {"Retry-After": "17", **JSON}, '{"error": {"code": "TooManyRequests"}}')
RESET = requests.ConnectionError("connection reset by peer")
EVERY_STEP = {
    "/resourcegroups/g": KEPT,
    "/workspaces/w": KEPT,
    "/clusters/c": MADE,
    "/experiments/e": KEPT,
    "/jobs/j": MADE,
}


@pytest.fixture
def batchai(endpoint, waits):
    """A service that makes and deletes everything at once."""
    for path in ("/clusters/c", "/jobs/j"):
        endpoint.raw("PUT", path, MADE)
    endpoint.on("GET", "/clusters/c", MISSING, READY)
    endpoint.on("DELETE", ".*", 200)
    for noun in ("resourcegroups", "workspaces", "experiments"):
        endpoint.holds(f"/{noun}/[^/]+")
    return endpoint


@pytest.fixture
def session(connection, clock):
    """Return a session with short names on the endpoint."""

    def make(**options):
        names = {"resource_group": "g", "workspace": "w", "experiment": "e"}
        return TrainingSession(
            CLUSTER, connection=connection, pacing=clock.pacing(), **names, **options
        )

    return make


@pytest.fixture
def run(connection, clock):
    """A run of job j."""
    place = JobPlace("g", "w", "e", "j")
    return JobRun(connection, place, report=lambda _: None, pacing=clock.pacing())


def left_in_journal(connection):
    """Return what a session that is over left in its journal."""
    left = []
    for journal in abandoned(connection.journals):
        left += journal.made
        journal.close()
    return left


@pytest.mark.parametrize("path", EVERY_STEP)
def test_throttling_is_waited_out_at_every_step(batchai, session, waits, path):
    """As long as the service asks for, and no step is done twice over."""
    batchai.raw("PUT", path, THROTTLED, THROTTLED, EVERY_STEP[path])

    with session() as running:
        running.submit(JOB)
    assert waits == [17, 17]
    assert [name for name, _ in itertools.groupby(batchai.made("PUT"))] == ["g", "w", "c", "e", "j"]
    assert batchai.made("DELETE") == ["j", "e", "c", "w", "g"]


@pytest.mark.parametrize("path", EVERY_STEP)
@pytest.mark.parametrize("fault", [BUSY, (500, {}, ""), RESET], ids=["503", "500", "reset"])
def test_a_passing_fault_is_gone_over_at_every_step(batchai, session, path, fault):
    """The clients' own policies try again; nobody notices."""
    batchai.raw("PUT", path, fault, EVERY_STEP[path])

    with session() as running:
        running.submit(JOB)
    assert batchai.made("DELETE") == ["j", "e", "c", "w", "g"]


@pytest.mark.parametrize(
    ("path", "deleted"),
    [
        ("/resourcegroups/g", []),  # one can see that it was not made
        ("/workspaces/w", ["g"]),
        ("/clusters/c", ["c", "w", "g"]),  # it is there all the same
        ("/experiments/e", ["c", "w", "g"]),
    ],
)
@pytest.mark.parametrize("fault", [BUSY, THROTTLED, RESET], ids=["503", "429", "reset"])
def test_a_lasting_fault_is_one_error_and_what_was_made_goes(
    batchai, connection, session, path, deleted, fault
):
    """With what was asked; also what the service may have made without being able to say so."""
    batchai.raw("PUT", path, fault)
    noun = path.split("/")[1].rstrip("s").replace("resourcegroup", "resource group")

    with pytest.raises(RequestError, match=f"Failed to create {noun}"), session():
        pass
    assert batchai.made("DELETE") == deleted
    assert left_in_journal(connection) == []


def test_a_slow_operation_is_asked_after_until_it_has_ended(batchai, session, waits):
    """At the pace that the service asks for."""
    accepted = {"Azure-AsyncOperation": OPERATION, "Retry-After": "9", **JSON}
    batchai.raw("PUT", "/clusters/c", (202, accepted, "{}"))
    batchai.raw(
        "GET",
        "/operations/1",
        (200, {"Retry-After": "4", **JSON}, '{"status": "InProgress"}'),
        (200, {"Retry-After": "2", **JSON}, '{"status": "InProgress"}'),
        (200, JSON, '{"status": "Succeeded"}'),
    )
    with session():
        assert waits[-2:] == [4, 2]
    assert batchai.made("DELETE") == ["e", "c", "w", "g"]


def test_a_slow_operation_survives_faults(batchai, session):
    """Between one look and the next."""
    accepted = {"Azure-AsyncOperation": OPERATION, **JSON}
    batchai.raw("PUT", "/clusters/c", (202, accepted, "{}"))
    done = (200, JSON, '{"status": "Succeeded"}')
    batchai.raw("GET", "/operations/1", RESET, BUSY, THROTTLED, done)

    with session():
        pass


def test_a_slow_operation_that_fails_is_the_services_reason(batchai, session):
    """And what it may have made half goes."""
    accepted = {"Azure-AsyncOperation": OPERATION, **JSON}
    batchai.raw("PUT", "/clusters/c", (202, accepted, "{}"))
    failed = {"status": "Failed", "error": {"code": "QuotaExceeded", "message": "no cores left"}}
    batchai.on("GET", "/operations/1", {"status": "InProgress"}, failed)

    with pytest.raises(RequestError, match="create cluster c.*no cores left"), session():
        pass
    assert batchai.made("DELETE") == ["c", "w", "g"]


def test_a_slow_deletion_is_waited_for_before_the_next(batchai, session):
    """A workspace cannot go before its cluster has."""
    accepted = {"Location": OPERATION, **JSON}
    batchai.raw("DELETE", "/clusters/c", (202, accepted, ""))
    batchai.on("GET", "/operations/1", 202, 202, 200)

    with session():
        pass
    gone = [call for call in batchai.calls if call.startswith("DELETE ") or "/operations/" in call]
    assert [call.split("/")[-1] for call in gone] == ["e", "c", "1", "1", "1", "w", "g"]


def test_a_token_that_runs_out_is_renewed(batchai, run):
    """Long before a wait of days ends."""
    token = {"access_token": "first", "expires_in": 60, "token_type": "Bearer"}
    batchai.on("POST", "/token", token, {**token, "access_token": "second", "expires_in": 3600})
    states = [{"properties": {"executionState": s}} for s in ("running", "running", "succeeded")]
    batchai.on("GET", "/jobs/j", *states)

    run.wait()
    asked = [r.headers["Authorization"] for r in batchai.requests if r.url.find("/jobs/j") > 0]
    assert asked == ["Bearer first", "Bearer second", "Bearer second"]


def test_a_token_that_the_service_no_longer_takes_is_told_with_a_hint(batchai, connection, session):
    """The clean-up is tried all the same, and the journal keeps what could not be deleted."""
    expired = (401, {"error": {"code": "ExpiredAuthenticationToken", "message": "it has expired"}})
    batchai.on("PUT", "/clusters/c", expired)
    batchai.on("DELETE", ".*", expired)

    with pytest.raises(RequestError, match="create cluster c.*AZURE_CLIENT_SECRET"), session():
        pass
    assert batchai.made("DELETE") == ["c", "w", "g"]
    assert [made.names[-1] for made in left_in_journal(connection)] == ["c", "w", "g"]


def test_a_token_endpoint_that_is_away_is_one_error(endpoint, connection, waits):
    """Of the request that needed a token."""
    endpoint.raw("POST", "/token", (503, JSON, "{}"))
    session = TrainingSession(CLUSTER, connection=connection, resource_group="g")

    with pytest.raises(RequestError, match="create resource group g"), session:
        pass
    assert not endpoint.made("PUT")


def test_deletions_that_fail_stop_no_other_and_are_one_group(batchai, connection, session):
    """Whatever they fail with; what is left is in the journal, newest first."""
    refused = {"error": {"code": "Conflict", "message": "it is busy"}}
    batchai.on("DELETE", "/jobs/j", (409, refused))
    batchai.raw("DELETE", "/clusters/c", RESET)
    batchai.raw("DELETE", "/resourcegroups/g", BUSY)

    with pytest.raises(CleanUpError) as raised, session() as running:
        running.submit(JOB)
    told = [str(error).split(":")[0] for error in raised.value.exceptions]
    assert told == [
        f"Failed to delete {what}" for what in ("job j", "cluster c", "resource group g")
    ]
    assert [name for name, _ in itertools.groupby(batchai.made("DELETE"))] == [*"jecwg"]
    assert left_in_journal(connection) == [
        Made("job", ("g", "w", "e", "j")),
        Made("cluster", ("g", "w", "c")),
        Made("resource group", ("g",)),
    ]


@pytest.mark.parametrize("fault", [BUSY, THROTTLED, RESET], ids=["503", "429", "reset"])
def test_a_passing_fault_of_the_clean_up_leaves_nothing(batchai, connection, session, fault):
    """Also where the first request did delete it."""
    gone = (404, JSON, '{"error": {"code": "ResourceNotFound", "message": "gone"}}')
    batchai.raw("DELETE", "/clusters/c", fault, gone)

    with session():
        pass
    assert left_in_journal(connection) == []


def test_a_report_that_fails_keeps_nothing_from_being_deleted(batchai, connection, session):
    """A closed pipe, for one: whoever read what is told has gone."""

    def report(line):
        if line.startswith("Deleting"):
            raise BrokenPipeError("nobody reads any more")

    with session(report=report):
        pass
    assert batchai.made("DELETE") == ["e", "c", "w", "g"]
    assert left_in_journal(connection) == []


def test_a_failed_clean_up_never_hides_what_the_block_raised(batchai, session, caplog):
    """It is told beside it."""
    batchai.raw("DELETE", "/clusters/c", BUSY)

    with (
        caplog.at_level(logging.INFO, "batchai_recipes"),
        pytest.raises(ZeroDivisionError),
        session(),
    ):
        _ = 1 / 0
    assert "Deleting cluster c failed: Failed to delete cluster c" in caplog.text


@pytest.mark.parametrize("fault", [BUSY, THROTTLED, RESET], ids=["503", "429", "reset"])
def test_waiting_for_a_job_survives_faults(batchai, run, fault):
    """The job goes on meanwhile."""
    answers = [
        (200, JSON, f'{{"properties": {{"executionState": "{s}"}}}}')
        for s in ("running", "succeeded")
    ]
    batchai.raw("GET", "/jobs/j", fault, answers[0], fault, answers[1])

    run.wait()


def test_a_wait_is_bounded_also_on_a_service_that_throttles(batchai, run, clock):
    """Its time is that of the waits between looks."""
    running = (200, JSON, '{"properties": {"executionState": "running"}}')
    batchai.raw("GET", "/jobs/j", *[THROTTLED, running] * 40)

    with pytest.raises(WaitTimeoutError):
        run.wait(timeout=10)
    assert clock.now > 10


@pytest.mark.parametrize("fault", [BUSY, (500, {}, ""), RESET], ids=["503", "500", "reset"])
def test_staging_goes_over_passing_faults(batchai, session, tmp_path, fault):
    """Of every request to the file service, by its client's own policy."""
    (tmp_path / "train.py").write_text("print()")
    written = (201, {"ETag": '"0x1"', "Last-Modified": "now"}, "")
    batchai.raw("GET", "/demo/data", LISTING)
    batchai.raw("PUT", "/demo/data/.*", *[fault, written] * 9)
    batchai.holds("/demo/data")
    for method in ("GET", "PUT"):
        batchai.raw(method, "/demo/data", *[fault, None] * 9)
    staging = FileShareStaging("data").directory("code").upload(tmp_path / "train.py")

    with session(staging=staging) as running:
        assert running.staged["code/train.py"].size == 7


def test_staging_that_fails_for_good_is_one_error_and_the_share_goes(batchai, session, tmp_path):
    """With the file that could not be sent."""
    (tmp_path / "train.py").write_text("print()")
    batchai.raw("GET", "/demo/data", LISTING)
    batchai.holds("/demo/data")
    batchai.raw("PUT", "/demo/data/train.py", RESET)
    staging = FileShareStaging("data").upload(tmp_path / "train.py")

    with pytest.raises(StagingError, match=r"upload .*train\.py"), session(staging=staging):
        pass
    assert batchai.made("DELETE") == ["data", "w", "g"]
