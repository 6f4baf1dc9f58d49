"""Sessions that were handed over until a deadline: what is deleted then, and what never is."""

import json

import pytest

from batchai_recipes.service.files.leases import Lease

ACCOUNT = "demoaccount"
ALL = ["group", "ws", "cluster", "exp", "job"]


@pytest.fixture
def running(session):
    """A session with a cluster and a job that runs."""
    session.rows.add_cluster()
    session.rows.add_job()
    session.scheduler.settle()
    return session


def test_at_its_deadline_all_of_it_goes(running):
    """Not before; its job is ended, and no operation is left open."""
    running.over(60, detached="yes")
    running.label_group(running.user("mine", 60))
    assert running.pass_by(59).at is not None
    assert running.left() == ALL

    assert running.pass_by(1).at is None
    assert running.left() == []
    assert running.rows.one("SELECT * FROM operations WHERE status != 'Succeeded'") is None


@pytest.mark.parametrize(
    ("lease", "tags"),
    [
        (60, {}),  # a process has it, or had it: that is for `reap`
        ("kept", {"detached": "yes"}),
        ("soon", {"detached": "yes"}),
        ("2018-06-06T20:00:30", {"detached": "yes"}),  # no time zone
        (60, {"detached": "no"}),
    ],
)
def test_what_was_not_handed_over_until_a_time_stays(running, lease, tags):
    """Whatever else the tags say."""
    running.over(lease, **tags)
    running.label_group(running.user("mine", 60))
    running.pass_by(1e6)

    assert running.left() == ALL


def test_a_workspace_without_the_tags_stays(running):
    """Also one with a part of them."""
    for tags in ({}, {"batchai_recipes_session": "mine"}, {"batchai_recipes_detached": "yes"}):
        running.tag(
            "/subscriptions/s/resourcegroups/group/providers/microsoft.batchai/workspaces/ws",
            **tags,
        )
        running.pass_by(1e6)
        assert running.left() == ALL


def test_a_group_that_no_session_made_stays(running):
    """With its tags as they are."""
    running.over(60, detached="yes")
    running.pass_by(60)

    assert running.left() == ["group"]


def test_a_group_that_another_session_uses_is_left_to_it(running):
    """Its own entry goes, and that of a session that has not been heard of for long."""
    entries = [running.user(*one) for one in (("mine", 60), ("yours", 90), ("gone", 30))]
    running.label_group(*entries)
    running.over(60, detached="yes")
    running.pass_by(60)

    assert running.left() == ["group"]
    tags = running.rows.one("SELECT tags FROM resources")["tags"]
    assert "yours" in tags
    assert "user_mine" not in tags
    assert "gone" not in tags


def test_a_group_with_another_workspace_stays(running):
    """Whoever made that."""
    group = "/subscriptions/S/resourceGroups/group"
    running.rows.add_resource(
        "workspace", f"{group}/providers/Microsoft.BatchAI/workspaces/theirs", group
    )
    running.over(60, detached="yes")
    running.label_group(running.user("mine", 60))
    running.pass_by(60)

    assert running.left() == ["group", "theirs"]


def test_its_share_goes_when_its_jobs_have(running, shares):
    """One that it merely uses stays, and one that another session uses too."""
    made = {"batchai_recipes_session": "mine"}
    mine, yours = running.user("mine", 60), running.user("yours", 999)
    shares.create(ACCOUNT, "mine", metadata=made | mine)
    shares.create(ACCOUNT, "both", metadata=made | mine | yours)
    shares.create(ACCOUNT, "notours", metadata=mine)
    names = ["mine", "both", "notours", "nothere"]
    places = [f"{ACCOUNT}/{name}" for name in names]
    running.over(
        60,
        detached="yes",
        **dict(zip(["share", "share_2", "share_3", "share_4"], places, strict=True)),
    )
    running.pass_by(60)

    listed = shares.list(ACCOUNT, prefix="", after=("", ""), limit=9)
    assert [share.name for share in listed] == ["both", "data", "notours"]
    assert shares.get(ACCOUNT, "both").metadata == made | yours
    assert running.left() == ["group"]


def test_a_leased_share_is_waited_for(running, shares, caplog):
    """And said to be; its session's workspace, which names it, goes last."""
    shares.create(
        ACCOUNT,
        "mine",
        metadata={"batchai_recipes_session": "mine", **running.user("mine", 60)},
    )
    lease = Lease("00000000-0000-0000-0000-000000000001")
    shares.change_lease(ACCOUNT, "mine", lambda _: lease)
    running.over(60, detached="yes", share=f"{ACCOUNT}/mine")
    again = running.pass_by(60)

    assert running.left() == ["group", "ws"]
    assert "session mine cannot be deleted yet, and is tried again: file share mine" in caplog.text
    shares.change_lease(ACCOUNT, "mine", lambda _: Lease())
    assert (again.at - running.clock.now()).total_seconds() == 60
    running.pass_by(60)
    assert running.left() == ["group"]


def test_a_job_elsewhere_that_needs_its_cluster_is_waited_for(running, caplog):
    """It is nobody's to end."""
    group = "/subscriptions/S/resourceGroups/group"
    theirs = f"{group}/providers/Microsoft.BatchAI/workspaces/theirs"
    running.rows.add_resource("workspace", theirs, group)
    running.rows.add_resource("experiment", f"{theirs}/experiments/e", theirs)
    job = running.rows.add_job("guest")
    with running.rows.store.write() as records:
        records.execute("PRAGMA defer_foreign_keys = ON")
        for table in ("resources", "jobs"):
            records.execute(
                f"UPDATE {table} SET key = ? WHERE key = ?",
                (f"{theirs}/experiments/e/jobs/guest".lower(), job),
            )
        records.execute(
            "UPDATE resources SET parent_key = ? WHERE name = 'guest'",
            (f"{theirs}/experiments/e".lower(),),
        )
    running.over(60, detached="yes")
    running.pass_by(60)

    assert "guest" in running.left()
    assert "cluster" in running.left()
    assert "guest needs it" in caplog.text


def test_what_another_session_uses_of_its_workspace_is_left_to_it(running):
    """Without anything of the one that ended; that one's job on its own experiment goes."""
    running.rows.add_cluster("both")
    running.rows.add_cluster("nobodys")
    running.scheduler.settle()
    yours = running.user("yours", 99)
    inner = "batchai_recipes_cluster.both."
    labels = {**running.user("mine", 60), **yours}
    shared = {f"{inner}{name}": text for name, text in labels.items()}
    gone = running.user("gone", 30)
    shared |= {f"batchai_recipes_cluster.nobodys.{name}": text for name, text in gone.items()}
    running.label_group(labels)
    running.over(60, detached="yes")
    with running.rows.store.write() as records:
        (tags,) = records.execute("SELECT tags FROM resources WHERE kind = 'workspace'").fetchone()
        records.execute(
            "UPDATE resources SET tags = ? WHERE kind = 'workspace'",
            (json.dumps({**json.loads(tags), **labels, **shared, "theirs": "stays"}),),
        )
    running.pass_by(60)

    assert running.left() == ["group", "ws", "both"]
    tags = json.loads(running.rows.one("SELECT tags FROM resources WHERE name = 'ws'")["tags"])
    entries = {f"{inner}{name}": text for name, text in yours.items()}
    assert tags == {**yours, **entries, "theirs": "stays"}


def test_who_takes_it_up_in_time_has_it(running):
    """The tags are read again when it is about to go."""
    running.over(60, detached="yes")
    running.clock.advance(seconds=60)
    (place,) = running.caretaker._places()
    running.over(900)

    assert running.caretaker._look_at(place).after_changes
    assert running.left() == ALL


def test_a_service_that_was_killed_on_the_way_goes_on(running, shares):
    """After each step, as what is left tells."""
    made = {"batchai_recipes_session": "mine", **running.user("mine", 60)}
    shares.create(ACCOUNT, "mine", metadata=made)
    running.over(60, detached="yes", share=f"{ACCOUNT}/mine")
    running.label_group(running.user("mine", 60))
    running.clock.advance(seconds=60)
    left = []
    while running.left():
        running.caretaker.look()  # and the service dies; the next one begins anew
        running.scheduler.settle()
        left.append(running.left())
        assert len(left) < 9

    assert left == [["group", "ws"], []]
    assert [one.name for one in shares.list(ACCOUNT, prefix="", after=("", ""), limit=9)] == [
        "data"
    ]
