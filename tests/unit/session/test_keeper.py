"""What keeps an embedded service up for a detached session: how long, and what it sees to."""

import os
from datetime import datetime, timedelta, timezone

import pytest
from attrs import asdict

from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.session.journal import Journal, JournalOwner, taken
from batchai_recipes.session.keeper import keep
from batchai_recipes.session.made import Made

NOON = datetime(2030, 11, 24, 12, tzinfo=timezone.utc)
# Another session made the workspace, this one the cluster in it.
OTHERS = {
    "tags": {
        "batchai-recipes-session": "another",
        "batchai-recipes-lease": "2030-11-24T12:15:00+00:00",
        "batchai_recipes_cluster.c.batchai_recipes_user_s": "s kept",
    }
}


@pytest.fixture
def session(batchai, connection, clock, monkeypatch):
    """A session that was detached until so many seconds after noon, the service's time now.

    What `keep` reaps is listed with the seconds that had passed.
    """
    batchai.raw("HEAD", "/resourcegroups/.*", (404, {"Date": "Sun, 24 Nov 2030 12:00:00 GMT"}, ""))
    batchai.on("GET", "/experiments/e/jobs", {"value": []})
    batchai.on("GET", "/workspaces/w", OTHERS)
    batchai.on("PATCH", "/workspaces/w", {})
    reaped = []
    monkeypatch.setattr(
        "batchai_recipes.session.keeper.reap",
        lambda folder, one, report: reaped.append((folder, one, clock.now)),
    )

    def detach(seconds, *made, limits=None):
        names = {
            "resource_group": "g",
            "workspace": "w",
            "experiment": "e",
            "clusters": ["c"],
            "limits": {name: asdict(one) for name, one in (limits or {}).items()},
        }
        owner = JournalOwner("s", "https://batchai.test", None, os.getpid(), names)
        journal = Journal.begin(connection.journals, owner)
        for one in made:
            journal.about_to_make(one)
        journal.detach(NOON + timedelta(seconds=seconds))
        journal._file.close()
        return reaped

    return detach


GROUP = Made("resource group", ("g",))
WORKSPACE = Made("workspace", ("g", "w"))
CLUSTER = Made("cluster", ("g", "w", "c"))


def test_it_deletes_the_session_at_its_deadline(session, connection, clock):
    """By the service's clock, whatever that of this machine says."""
    reaped = session(100, GROUP)
    keep(connection, "s", clock.pacing())

    ((folder, one, at),) = reaped
    assert (folder, one) == (connection.journals, "s")
    assert 100 <= at < 101


def test_a_session_that_is_taken_up_is_kept_no_longer(session, connection, clock):
    """Nor one that is gone: its journal says so."""
    reaped = session(100, GROUP)
    pacing = clock.pacing()

    def attach(seconds):
        clock.sleep(seconds)
        if clock.now > 30 and not taken_up:
            taken_up.append(taken(connection.journals, "s").resume())
            taken_up[0]._file.close()

    taken_up = []
    keep(connection, "s", type(pacing)(sleep=attach, monotonic=pacing.monotonic))
    assert reaped == []
    assert clock.now < 32
    keep(connection, "nothere", clock.pacing())
    assert reaped == []


def test_it_sees_to_limits_that_the_service_does_not_know(
    session, batchai, connection, clock, ready
):
    """Those of a session in a workspace that it did not make, so that it could not tag it."""
    ready["properties"]["creationTime"] = "2030-11-24T11:59:00Z"
    batchai.on("GET", "/clusters/c", ready)
    reaped = session(1000, CLUSTER, limits={"c": ClusterLimits(max_lifetime=100)})
    deleted = []
    batchai.before = lambda path: deleted.append(clock.now) if "DELETE" in batchai.calls[-1] else 0
    keep(connection, "s", clock.pacing())

    assert batchai.made("DELETE") == ["c"]
    assert 40 <= deleted[0] < 40 + 15 + 1  # it had lived for a minute, and one looks now and then
    assert len(reaped) == 1


def test_a_cluster_that_idles_goes_too(session, batchai, connection, clock, ready):
    """Counted from when the session was detached; what fails is tried again."""
    batchai.on("GET", "/clusters/c", ready, (409, {}), ready)
    session(1000, CLUSTER, limits={"c": ClusterLimits(idle_timeout=60)})
    keep(connection, "s", clock.pacing())

    assert batchai.made("DELETE") == ["c"]


def test_a_service_that_does_not_answer_at_first_ends_nothing(
    session, batchai, connection, clock, ready
):
    """Else the service would stop, and nobody keep the deadline."""
    batchai.on("GET", "/workspaces/w", (409, {}), OTHERS)
    batchai.on("GET", "/clusters/c", (409, {}), ready)
    reaped = session(1000, CLUSTER, limits={"c": ClusterLimits(idle_timeout=60)})
    keep(connection, "s", clock.pacing())

    assert batchai.made("DELETE") == ["c"]
    assert len(reaped) == 1


def test_what_the_service_knows_is_left_to_it(session, batchai, connection, clock):
    """Two that delete one cluster would be one too many."""
    tags = {"batchai-recipes-session": "s", "batchai-recipes-lease": NOON.isoformat()}
    batchai.on("GET", "/workspaces/w", {"tags": tags})
    session(1000, WORKSPACE, CLUSTER, limits={"c": ClusterLimits(idle_timeout=60)})
    keep(connection, "s", clock.pacing())

    assert batchai.made("DELETE") == []
    assert [call for call in batchai.calls if "/clusters" in call] == []
