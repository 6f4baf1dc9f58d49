"""Clusters of sessions that no process has, and how long they stay."""

import json

import pytest

from batchai_recipes.service.sessions.caretaker import Caretaker


@pytest.fixture
def idle(session):
    """A session with a cluster whose node has nothing to do."""
    session.rows.add_cluster()
    session.scheduler.settle()
    return session


def test_an_idle_cluster_goes_in_time(idle):
    """Counted from when its node was ready; the session stays until its deadline."""
    idle.over(9999, detached="yes", limits="Cluster idle_timeout=60.0")
    look = idle.pass_by(30)
    assert (look.at - idle.clock.now()).total_seconds() == 30
    idle.pass_by(29)
    assert "cluster" in idle.left()
    look = idle.pass_by(1)

    assert idle.left() == ["group", "ws", "exp"]
    assert look.at.isoformat() == "2018-06-06T22:46:39+00:00"  # the deadline


def test_the_idle_time_begins_anew_after_a_job(idle, engine):
    """Also where the job is deleted, and the service was restarted: the records tell it."""
    idle.over(9999, detached="yes", limits="cluster idle_timeout=60.0")
    idle.clock.advance(seconds=50)
    job = idle.rows.add_job()
    idle.look()
    idle.pass_by(500)
    assert idle.rows.job(job)["execution_state"] == "running"
    engine.end(idle.rows.task_of(job), 0)
    idle.look()
    idle.rows.delete(job)
    idle.look()
    assert idle.left() == ["group", "ws", "cluster", "exp"]
    idle.pass_by(59)
    assert "cluster" in idle.left()
    idle.pass_by(1)
    assert "cluster" not in idle.left()


def test_a_job_that_waited_in_vain_counts(idle):
    """Its cluster was not without a job then."""
    idle.over(9999, detached="yes", limits="cluster idle_timeout=60.0")
    job = idle.rows.add_job(nodes=2)
    idle.pass_by(500)
    idle.rows.terminate(job)
    idle.look()
    idle.pass_by(59)
    assert "cluster" in idle.left()
    idle.pass_by(1)
    assert "cluster" not in idle.left()


def test_a_cluster_that_lived_too_long_goes_with_its_jobs(idle):
    """They are terminated, and stay with what they wrote."""
    job = idle.rows.add_job()
    idle.over(9999, detached="yes", limits="cluster idle_timeout=60.0 max_lifetime=300.0")
    idle.pass_by(299)
    assert idle.rows.job(job)["execution_state"] == "running"
    idle.pass_by(1)

    assert idle.left() == ["group", "ws", "exp", "job"]
    assert idle.rows.job(job)["errors"][0]["code"] == "JobTerminated"


def test_while_a_process_has_the_session_that_keeps_them(idle):
    """Once its lease has run out the service does."""
    idle.over(900, limits="cluster idle_timeout=60.0")
    look = idle.pass_by(899)
    assert (look.at - idle.clock.now()).total_seconds() == 1
    assert "cluster" in idle.left()
    idle.over(900, limits="cluster idle_timeout=60.0")  # it is renewed
    idle.pass_by(1)
    assert "cluster" in idle.left()
    idle.pass_by(899)

    assert idle.left() == ["group", "ws", "exp"]  # what else it left is for `reap`


def test_what_is_kept_has_no_limits(idle):
    """It was kept on purpose."""
    idle.over("kept", detached="yes", limits="cluster max_lifetime=1.0")
    idle.pass_by(1e6)

    assert "cluster" in idle.left()


def test_each_cluster_has_its_own(idle):
    """Also where a tag names one that is not there, or says nothing that can be read."""
    idle.rows.add_cluster("other")
    idle.rows.add_cluster("free")
    idle.scheduler.settle()
    idle.over(
        9999,
        detached="yes",
        limits="cluster max_lifetime=100",
        limits_2="other max_lifetime=200",
        limits_3="gone max_lifetime=1",
        limits_4="free max_lifetime=soon idle_timeout=-1",
    )
    idle.pass_by(100)
    assert idle.left() == ["group", "ws", "free", "other", "exp"]
    idle.pass_by(100)
    assert idle.left() == ["group", "ws", "free", "exp"]


def test_a_cluster_that_another_session_uses_stays(idle):
    """As long as that does."""
    idle.over(9999, detached="yes", limits="cluster idle_timeout=60.0")
    (entry,) = idle.user("yours", 500).items()
    with idle.rows.store.write() as records:
        records.execute(
            "UPDATE resources SET tags = json_set(tags, ?, ?) WHERE kind = 'workspace'",
            (f'$."batchai_recipes_cluster.cluster.{entry[0]}"', entry[1]),
        )
    idle.pass_by(499)
    assert "cluster" in idle.left()
    idle.pass_by(1)
    assert "cluster" not in idle.left()


def test_a_job_that_comes_at_the_last_moment_keeps_its_cluster(idle, monkeypatch):
    """What is due is looked at again where nobody else can write."""
    idle.over(9999, detached="yes", limits="cluster idle_timeout=60.0")
    idle.clock.advance(seconds=60)
    limits, found = idle.caretaker._limits, []
    due = type(limits)._due

    def and_a_job(self, *arguments):
        found.append(due(self, *arguments))
        if len(found) == 1:
            idle.rows.add_job()
        return found[-1]

    monkeypatch.setattr(type(limits), "_due", and_a_job)
    (place,) = idle.caretaker._places()
    look = limits.keep(place)

    assert found[0][1].at <= idle.clock.now() < look.at
    assert "cluster" in idle.left()


def noted(session, cluster, *entries):
    """Note in the workspace who uses a cluster."""
    with session.rows.store.write() as records:
        for name, value in (item for entry in entries for item in entry.items()):
            records.execute(
                "UPDATE resources SET tags = json_set(tags, ?, ?), etag = hex(randomblob(8)) "
                "WHERE kind = 'workspace'",
                (f'$."batchai_recipes_cluster.{cluster}.{name}"', value),
            )


def notes(session):
    """Return what the workspace's tags note of clusters, beside the lease."""
    tags = json.loads(
        session.rows.one("SELECT tags FROM resources WHERE kind = 'workspace'")["tags"]
    )
    assert tags["batchai-recipes-session"] == "mine"
    return {
        name.removeprefix("batchai_recipes_cluster."): value
        for name, value in tags.items()
        if not name.startswith("batchai-recipes-")
    }


def test_what_is_noted_of_a_cluster_goes_with_it(idle):
    """Its own users, also one that is gone; nothing else."""
    idle.rows.add_cluster("other")
    idle.scheduler.settle()
    idle.over(
        9999, detached="yes", limits="Cluster idle_timeout=60.0", limits_2="other max_lifetime=9"
    )
    mine, gone = idle.user("mine", 9999), idle.user("gone", 1)
    noted(idle, "cluster", mine, gone)
    noted(idle, "other", mine, gone)
    noted(idle, "cluster2", mine)
    idle.pass_by(60)

    assert idle.left() == ["group", "ws", "exp"]
    (entry,) = mine.items()
    assert notes(idle) == {f"cluster2.{entry[0]}": entry[1]}


def test_a_cluster_that_is_still_going_is_announced(idle):
    """A session that comes meanwhile waits for the end of it, as for another session's deletion."""
    idle.over(9999, detached="yes", limits="cluster idle_timeout=60.0")
    noted(idle, "cluster", idle.user("mine", 9999))
    idle.clock.advance(seconds=60)
    look = idle.caretaker.look()

    assert look.after_changes
    assert notes(idle)["cluster.batchai_recipes_deleter"] == "mine"
    assert "cluster.batchai_recipes_user_mine" in notes(idle)
    assert idle.caretaker.look().after_changes  # the scheduler has not been at it
    idle.scheduler.settle()
    assert not idle.caretaker.look().after_changes
    assert notes(idle) == {}


@pytest.mark.parametrize("gone", [False, True], ids=["before the cluster", "after the cluster"])
@pytest.mark.parametrize("taken_up", [False, True], ids=["detached", "taken up meanwhile"])
def test_a_service_that_was_killed_meanwhile_takes_it_away_too(idle, gone, taken_up):
    """It looks when it starts, and the tags tell it, whoever has the session by then."""
    idle.over(9999, detached="yes", limits="cluster idle_timeout=60.0")
    noted(idle, "cluster", idle.user("mine", 9999))
    idle.clock.advance(seconds=60)
    idle.caretaker.look()
    if gone:
        idle.scheduler.settle()
    if taken_up:
        with idle.rows.store.write() as records:
            records.execute(
                "UPDATE resources SET etag = 'new', "
                "tags = json_remove(tags, '$.\"batchai-recipes-detached\"') "
                "WHERE kind = 'workspace'"
            )
    # Nothing but the records is left of the one that was killed.
    idle.caretaker = Caretaker(idle.caretaker._plane, idle.caretaker._end.shares)
    idle.look()

    assert "cluster" not in idle.left()
    assert notes(idle) == {}


def test_a_session_that_makes_the_cluster_anew_keeps_its_entry(idle, monkeypatch):
    """It comes between the look at the records and the change of the tags."""
    idle.over(9999, detached="yes", limits="cluster idle_timeout=60.0")
    noted(idle, "cluster", idle.user("mine", 9999))
    idle.clock.advance(seconds=60)
    idle.caretaker.look()
    idle.scheduler.settle()
    yours, found = idle.user("yours", 9999), []
    there = type(idle.caretaker._notes)._there

    def and_another(self, *arguments):
        found.append(there(self, *arguments))
        if len(found) == 1:  # as the library does: its entry first, and nobody deletes it
            noted(idle, "cluster", yours, {"batchai_recipes_deleter": ""})
        return found[-1]

    monkeypatch.setattr(type(idle.caretaker._notes), "_there", and_another)
    assert idle.caretaker.look().after_changes
    idle.rows.add_cluster()
    idle.look()

    assert "cluster" in idle.left()
    (entry,) = yours.items()
    assert notes(idle)[f"cluster.{entry[0]}"] == entry[1]


def test_what_another_session_announces_is_its_own(idle):
    """It takes away its notes itself, or `reap` does."""
    idle.over(9999, detached="yes", limits="cluster idle_timeout=60.0")
    noted(idle, "other", idle.user("yours", 9999), {"batchai_recipes_deleter": "yours"})
    idle.pass_by(60)

    assert set(notes(idle)) == {
        "other.batchai_recipes_user_yours",
        "other.batchai_recipes_deleter",
    }
