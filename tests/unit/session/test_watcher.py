"""What a session sees to while it lives: its lease, and how long its clusters may stay."""

import json
from datetime import timedelta

import pytest

from batchai_recipes import (
    ClusterBuilder,
    ClusterError,
    CntkJobBuilder,
    ConfigurationError,
    RequestError,
    TrainingSession,
)
from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.session.lease import LEASE
from batchai_recipes.session.watcher import RENEWAL_SECONDS, Watcher

JOB = CntkJobBuilder("j").script("train.py").std_out_err_path_prefix("/tmp")
JSON = {"Content-Type": "application/json"}
BUSY = {"properties": {"executionState": "queued", "cluster": {"id": ""}}, "name": "j"}


@pytest.fixture
def watcher(clock):
    """Make a watcher that writes down what it does."""

    def make(limits=None, *, busy=lambda _: False, renew=None):
        did = []
        watcher = Watcher(
            {"c": limits or ClusterLimits()},
            renew=renew or (lambda: did.append("renewed")),
            busy=busy,
            retire=lambda *what: did.append(what),
            warn=lambda line: did.append(f"Warning: {line}"),
            report=did.append,
            monotonic=lambda: clock.now,
        )
        return watcher, did

    return make


def test_the_lease_is_renewed_in_time_and_not_more_often(watcher, clock):
    """However often it looks."""
    watching, did = watcher()
    for _ in range(9):
        clock.sleep(RENEWAL_SECONDS / 3)
        watching.look()

    assert did == ["renewed"] * 3


def test_a_renewal_that_fails_is_tried_with_the_next_look(watcher, clock):
    """The service may be back by then; whatever it was that failed, it is tried again."""
    answers = [RequestError("it is away"), ValueError("a bug"), None]
    tried = []

    def renew():
        tried.append(clock.now)
        answer = answers.pop(0)
        if answer:
            raise answer

    watching, did = watcher(renew=renew)
    clock.sleep(RENEWAL_SECONDS)
    for _ in range(3):
        watching.look()
        clock.sleep(1)

    assert tried == [RENEWAL_SECONDS, RENEWAL_SECONDS + 1, RENEWAL_SECONDS + 2]
    warning, end = did
    assert warning.startswith("Warning: Could not renew the session's lease; it is tried again")
    assert "it is away. See with `batchai-recipes doctor`" in warning
    assert end == "Could renew the session's lease at last"


def test_one_warns_again_when_the_lease_has_run_out(watcher, clock):
    """And not with each look."""

    def renew():
        raise RequestError("it is away")

    watching, did = watcher(renew=renew)
    for _ in range(20):
        clock.sleep(LEASE.total_seconds() / 10)
        watching.look()

    assert len(did) == 2
    assert "15 minutes after the last renewal" in did[0]
    assert "The lease has run out: `batchai-recipes reap` on another machine may" in did[1]


def test_what_fails_for_a_cluster_is_told_with_what_to_do(watcher, clock):
    """It costs for longer than it should."""
    answers = [RequestError("it is away")] * 2

    def busy(_):
        if answers:
            raise answers.pop()
        return False

    watching, did = watcher(ClusterLimits(idle_timeout=60), busy=busy)
    watching.watch("c")
    for _ in range(6):
        watching.look()
        clock.sleep(20)

    (warning, *rest) = did
    assert "Could not see whether cluster c has reached a limit; it is tried again" in warning
    assert "it is away. It may stay, and cost" in warning
    assert "`batchai-recipes cluster delete c`" in warning
    assert rest == [
        "Could see whether cluster c has reached a limit at last",
        ("c", "it had no job for 60 s (idle_timeout)"),
    ]


def test_a_cluster_that_is_gone_is_watched_no_more(watcher):
    """It is told of once."""

    def busy(_):
        raise ClusterError("Cluster c is gone")

    watching, did = watcher(ClusterLimits(idle_timeout=60), busy=busy)
    watching.watch("c")
    watching.look()
    watching.look()

    assert did == ["Warning: Cluster c is gone"]


def test_a_cluster_that_was_taken_up_has_lived_before(watcher, clock):
    """Its idle time begins anew, its life does not."""
    watching, did = watcher(ClusterLimits(idle_timeout=60, max_lifetime=100))
    watching.watch("c", 70)
    watching.look()
    clock.sleep(30)
    watching.look()

    assert did == [("c", "it has lived for 100 s (max_lifetime)")]


def test_a_lease_may_have_to_be_renewed_at_once(watcher):
    """Where a part of it says something else."""
    watching, did = watcher()
    watching.renew_soon()
    watching.look()
    watching.look()

    assert did == ["renewed"]


def test_an_idle_cluster_is_deleted_once(watcher, clock):
    """With the reason; counted from the first look that found it idle."""
    watching, did = watcher(ClusterLimits(idle_timeout=60))
    watching.watch("c")
    for _ in range(9):
        watching.look()
        clock.sleep(20)

    assert did == [("c", "it had no job for 60 s (idle_timeout)")]


def test_a_busy_cluster_stays_until_it_has_lived_too_long(watcher, clock):
    """Then it goes with its jobs."""
    watching, did = watcher(ClusterLimits(idle_timeout=60, max_lifetime=100), busy=lambda _: True)
    watching.watch("c")
    clock.sleep(90)
    watching.look()
    assert did == []
    clock.sleep(10)
    watching.look()

    assert did == [("c", "it has lived for 100 s (max_lifetime)")]


def test_the_thread_looks_and_stops(watcher):
    """Without waiting for its next look."""
    watching, did = watcher()
    watching.start()
    watching.stop()

    assert did == []


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_limit_is_above_zero(seconds):
    """Else a cluster would be gone before its first job."""
    with pytest.raises(ConfigurationError, match="idle_timeout is .*above 0"):
        TrainingSession(ClusterBuilder("c"), idle_timeout=seconds)


@pytest.fixture
def session(batchai, connection, clock):
    """A session whose clusters may idle for a minute, that is entered."""
    with TrainingSession(
        ClusterBuilder("c").vm_size("STANDARD_D1"),
        connection=connection,
        pacing=clock.pacing(),
        resource_group="g",
        workspace="w",
        experiment="e",
        idle_timeout=60,
        max_lifetime=1000,
    ) as session:
        yield session


def test_a_session_deletes_its_idle_cluster_and_says_so_to_who_wants_it(session, batchai, clock):
    """It is not deleted once more at the end."""
    batchai.on("GET", "/experiments/e/jobs", {"value": []})
    session._live._watcher.look()
    clock.sleep(60)
    session._live._watcher.look()

    assert batchai.made("DELETE") == ["c"]
    with pytest.raises(ClusterError, match="no job for 60 s"):
        session.submit(JOB)


def test_a_cluster_that_somebody_deleted_is_told_of(session, batchai, clock, caplog):
    """Say the service, which did not hear of a machine that slept."""
    batchai.on("GET", "/clusters/c", 404)
    session._live._watcher.look()
    session._live._watcher.look()

    assert caplog.messages.count(caplog.messages[-1]) == 1
    assert "Cluster c is gone, though this session has not deleted it" in caplog.messages[-1]
    with pytest.raises(ClusterError, match="Cluster c was deleted: it is gone"):
        session.submit(JOB)
    batchai.on("DELETE", "/clusters/c", 500)  # it is not asked for again at the end


def test_its_workspace_tells_the_limits(session, batchai):
    """For whoever takes the session up, and the service meanwhile."""
    (sent,) = [
        json.loads(request.body)["tags"]
        for request in batchai.requests
        if request.method == "PUT" and "/workspaces/w?" in request.url
    ]

    assert sent["batchai-recipes-limits"] == "c idle_timeout=60.0 max_lifetime=1000.0"


def test_a_session_that_could_not_be_handed_over_goes_on(session, batchai, clock):
    """With its lease renewed soon, for a part of it may say something else."""
    batchai.on("GET", "/workspaces/w", {"tags": {}})
    batchai.on("PATCH", "/workspaces/w", (403, {"error": {"code": "Busy", "message": "busy"}}))
    with pytest.raises(RequestError, match="is not detached, and goes on as before: .*busy"):
        session.detach(timedelta(hours=1))
    assert session.deadline is None
    batchai.on("PATCH", "/workspaces/w", {})
    batchai.on("GET", "/experiments/e/jobs", {"value": []})
    session._live._watcher.look()

    *_, last = [
        json.loads(request.body)["tags"]
        for request in batchai.requests
        if request.method == "PATCH" and "/workspaces/w" in request.url
    ]
    assert "batchai-recipes-detached" not in last


def test_a_cluster_has_limits_of_its_own(batchai, connection, clock):
    """They go before the session's."""
    batchai.on("GET", "/experiments/e/jobs", {"value": []})
    with TrainingSession(
        ClusterBuilder("c").vm_size("STANDARD_D1").idle_timeout(10).max_lifetime(500),
        connection=connection,
        pacing=clock.pacing(),
        resource_group="g",
        workspace="w",
        experiment="e",
        idle_timeout=60,
    ) as session:
        session._live._watcher.look()
        clock.sleep(10)
        session._live._watcher.look()
        assert batchai.made("DELETE") == ["c"]


def test_a_limit_of_a_cluster_is_above_zero():
    """As one of a session is."""
    with pytest.raises(ConfigurationError, match="max_lifetime is 0: give seconds above 0"):
        ClusterBuilder("c").max_lifetime(0)


def test_a_queued_job_keeps_its_cluster(session, batchai, clock):
    """Although no node runs anything yet; at the end of its life the job is terminated."""
    BUSY["properties"]["cluster"]["id"] = session._live.blueprint.cluster_id("c").upper()
    batchai.on("GET", "/experiments/e/jobs", {"value": [BUSY]})
    batchai.on("POST", "/jobs/j/terminate", 200)
    for _ in range(3):
        session._live._watcher.look()
        clock.sleep(60)
    assert batchai.made("DELETE") == []
    clock.sleep(1000)
    session._live._watcher.look()

    ended = [call.split("/")[-1] for call in batchai.calls if call[:4] in {"POST", "DELE"}]
    assert ended[-2:] == ["terminate", "c"]


def test_renewing_keeps_the_tags_of_others(session, batchai, clock):
    """Only the session's own change, to a lease from now on."""
    batchai.on("PATCH", "/workspaces/w", {})
    batchai.raw(
        "GET",
        "/workspaces/w",
        (200, {**JSON, "Date": "Tue, 24 Nov 2026 12:00:00 GMT"}, '{"tags": {"mine": "stays"}}'),
    )
    session._live.lease.renew(session._live._journal.made)
    session._live.lease.renew(session._live._journal.made)
    *_, sent = [
        json.loads(r.body)["tags"]
        for r in batchai.requests
        if r.method == "PATCH" and "/workspaces/w" in r.url
    ]

    assert sent["mine"] == "stays"
    assert sent["batchai-recipes-session"] == session.id
    assert sent["batchai-recipes-lease"] == "2026-11-24T12:15:00+00:00"
