"""What a session sees to while it lives: its lease, and how long its clusters may stay."""

import json

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
from batchai_recipes.session.watcher import RENEWAL_SECONDS, Watcher

JOB = CntkJobBuilder("j").script("train.py").std_out_err_path_prefix("/tmp")
JSON = {"Content-Type": "application/json"}
BUSY = {"properties": {"executionState": "queued", "cluster": {"id": ""}}, "name": "j"}


@pytest.fixture
def watcher(clock):
    """Make a watcher that writes down what it does."""

    def make(limits=None, *, busy=False, renew=None):
        did = []
        watcher = Watcher(
            {"c": limits or ClusterLimits()},
            renew=renew or (lambda: did.append("renewed")),
            busy=lambda _: busy,
            retire=lambda *what: did.append(what),
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
    """The service may be back by then."""
    answers = [RequestError("it is away"), None]
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

    assert tried == [RENEWAL_SECONDS, RENEWAL_SECONDS + 1]
    assert "trying again: it is away" in did[0]


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
    watching, did = watcher(ClusterLimits(idle_timeout=60, max_lifetime=100), busy=True)
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
