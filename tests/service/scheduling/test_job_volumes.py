"""Volumes of other endpoints in the life of jobs and nodes, step by step."""

import json

import pytest

from batchai_recipes.service.engines.engine import TaskKey
from batchai_recipes.service.engines.simulated import SimulatedEngine
from batchai_recipes.service.file_server_disks import FileServerDisks
from batchai_recipes.service.scheduling.job_volumes import JobVolumes
from batchai_recipes.service.scheduling.ledger import Ledger
from batchai_recipes.service.scheduling.volume_places import VolumePlaces
from batchai_recipes.service.scheduling.volumes import Volumes
from batchai_recipes.service.storage_endpoints import StorageEndpoints

KEY = "b3RoZXI="
VOLUMES = {
    "azureFileShares": [
        {
            "accountName": "other",
            "azureFileUrl": "https://other.file.core.windows.net/data",
            "relativeMountPath": "vol",
        }
    ]
}
ON_JOB = {"mountVolumes": VOLUMES, "account_keys": {"vol": KEY}}


@pytest.fixture
def engine(hand_clock):
    """An engine whose tasks end when the test says so."""
    return SimulatedEngine(hand_clock, stubborn=True)


@pytest.fixture
def scheduler(new_scheduler, store, state):
    """A scheduler that is not started: tests call settle."""
    disks = FileServerDisks(store, state)
    return new_scheduler(places=VolumePlaces(state, disks, StorageEndpoints("http://127.0.0.1:1")))


class Play:
    """Plays the tasks of an owner, and what ``volume_sync`` leaves behind."""

    def __init__(self, scheduler, engine, state):
        self.scheduler, self.engine, self.state = scheduler, engine, state

    def running(self):
        """Return the names of the tasks that run."""
        return [key.name for key in self.engine.running()]

    def request(self, owner_id, name):
        """Return a request, as the program finds it."""
        path = self.state.volumes / owner_id / "tasks" / name / "request.json"
        assert path.stat().st_mode & 0o077 == 0
        return json.loads(path.read_text())

    def end(self, owner_id, name, exit_code=0, message=None, owner="job"):
        """Let a task end, with a result if it is one that copies, and look again."""
        if message is not None:
            control = self.state.volumes / owner_id / "tasks" / name
            (control / "result.json").write_text(json.dumps({"message": message}))
        self.engine.end(TaskKey(owner, owner_id, name), exit_code)
        self.scheduler.settle()

    def lose(self, owner_id, name):
        """Let a task be lost with a restart of the machine, and look again."""
        self.engine.lose(TaskKey("job", owner_id, name))
        self.scheduler.settle()


@pytest.fixture
def play(scheduler, engine, state):
    """Plays tasks."""
    return Play(scheduler, engine, state)


@pytest.fixture
def job(rows, scheduler):
    """A job with a volume of its own, on its way; its key and uid."""
    rows.add_cluster()
    key = rows.add_job(**ON_JOB)
    scheduler.settle()
    return key, rows.job(key)["uid"]


def test_a_job_starts_when_its_volume_is_in_and_ends_when_it_is_back(rows, play, job, state):
    """Its end is not seen before; then the copy goes and its manifest stays."""
    key, uid = job
    assert play.running() == ["copy-in-1"]
    request = play.request(uid, "copy-in-1")
    (volume,) = request["volumes"]
    assert (request["action"], volume["key"], volume["name"]) == ("copy-in", KEY, "data")
    play.end(uid, "copy-in-1", message="")
    assert sorted(play.running()) == ["copy-back-1", "process-0"]
    assert play.request(uid, "copy-back-1")["action"] == "follow"
    play.end(uid, "process-0")
    assert rows.job(key)["execution_state"] == "running"
    assert (state.volumes / uid / "tasks" / "copy-back-1" / "finish").exists()
    copy = state.volume_copy(uid, "vol")
    assert (copy / "data").is_dir()
    play.end(uid, "copy-back-1", message="")
    assert rows.job(key)["execution_state"] == "succeeded"
    assert [path.name for path in copy.iterdir()] == ["place.json"]


def test_what_is_asked_to_finish_is_signalled_only_if_it_listens(play, job, engine, state):
    """It would die of the signal otherwise."""
    _, uid = job
    play.end(uid, "copy-in-1", message="")
    (state.volumes / uid / "tasks" / "copy-back-1" / "listening").touch()
    play.end(uid, "process-0")
    assert engine.termination_requests == [TaskKey("job", uid, "copy-back-1")]


@pytest.mark.parametrize("message", ["it is full", None])
def test_what_cannot_be_copied_back_fails_a_job_that_would_have_succeeded(
    rows, play, job, state, message
):
    """Told by the program, or by its dying again and again; the copy stays."""
    key, uid = job
    play.end(uid, "copy-in-1", message="")
    play.end(uid, "process-0")
    attempts = 1 if message else 3
    for attempt in range(1, attempts + 1):
        play.end(uid, f"copy-back-{attempt}", 1 if message else 137, message)
    ended = rows.job(key)
    (error,) = ended["errors"]
    assert (ended["execution_state"], error["code"]) == ("failed", "CopyBackFailed")
    assert (message or "exit code 137") in error["message"]
    data = state.volume_copy(uid, "vol") / "data"
    assert str(data) in error["message"]
    assert data.is_dir()


def test_a_failed_job_keeps_its_error_when_it_cannot_be_copied_back(rows, play, job):
    """The other one is a detail of it."""
    key, uid = job
    play.end(uid, "copy-in-1", message="")
    play.end(uid, "process-0", 3)
    play.end(uid, "copy-back-1", 1, "it is full")
    (error,) = rows.job(key)["errors"]
    assert error["code"] == "JobFailed"
    assert {"name": "copyBack", "value": "it is full"} in [
        detail | {"value": detail["value"].partition(".")[0]} for detail in error["details"]
    ]


def test_copying_that_was_lost_with_the_machine_begins_again(rows, play, job):
    """In, and back."""
    key, uid = job
    play.lose(uid, "copy-in-1")
    assert play.running() == ["copy-in-2"]
    play.end(uid, "copy-in-2", message="")
    play.lose(uid, "copy-back-1")
    play.end(uid, "process-0")
    assert play.running() == ["copy-back-2"]
    assert play.request(uid, "copy-back-2")["action"] == "copy-back"
    play.end(uid, "copy-back-2", message="")
    assert rows.job(key)["execution_state"] == "succeeded"


def test_following_that_ended_before_the_job_did_is_made_up_for(rows, play, job):
    """Somebody killed it."""
    key, uid = job
    play.end(uid, "copy-in-1", message="")
    play.end(uid, "copy-back-1", 143)
    play.end(uid, "process-0")
    play.end(uid, "copy-back-2", message="")
    assert rows.job(key)["execution_state"] == "succeeded"


def test_a_job_that_is_terminated_while_it_is_copied_in_ends_without_copying_back(rows, play, job):
    """There is nothing of it to copy."""
    key, uid = job
    rows.terminate(key)
    play.scheduler.settle()
    assert play.engine.termination_requests == [TaskKey("job", uid, "copy-in-1")]
    assert rows.job(key)["execution_state"] == "terminating"
    play.end(uid, "copy-in-1", 143)
    assert rows.job(key)["execution_state"] == "failed"
    assert play.running() == []


def test_a_job_that_is_queued_again_begins_with_a_fresh_copy(rows, play, job, state):
    """What it had written has been copied back by then, and comes in again."""
    key, uid = job
    cluster = rows.job(key)["cluster_key"]
    play.end(uid, "copy-in-1", message="")
    rows.scale(cluster, 0)
    play.scheduler.settle()
    play.end(uid, "process-0", 143)
    copy = state.volume_copy(uid, "vol")
    (copy / "data" / "written").touch()
    play.end(uid, "copy-back-1", message="")
    assert rows.job(key)["execution_state"] == "queued"
    assert not copy.exists()
    rows.scale(cluster, 1)
    play.scheduler.settle()
    assert play.running() == ["copy-in-1"]
    assert list((copy / "data").iterdir()) == []
    play.end(uid, "copy-in-1", message="")
    assert not (state.volumes / uid / "tasks" / "copy-back-1" / "finish").exists()


def test_the_nodes_of_a_cluster_are_idle_when_its_volume_is_in(rows, scheduler, play, engine):
    """A failure makes the node unusable and is the cluster's error."""
    made = {"setup": {"mountVolumes": VOLUMES}, "secrets": {"accountKeys": {"vol": KEY}}}
    cluster = rows.add_cluster(**made)
    other = rows.add_cluster("other", **made)
    scheduler.settle()
    first, second = (key.owner_id for key in engine.running())
    assert rows.node_states(cluster) == ["preparing"]
    play.end(first, "copy-in-1", message="", owner="node")
    assert rows.node_states(cluster) == ["idle"]
    play.end(second, "copy-in-1", 1, "check the key", owner="node")
    assert rows.node_states(other) == ["unusable"]
    (error,) = rows.cluster(other)["errors"]
    assert (error["code"], "check the key" in error["message"]) == ("ShareMountFailed", True)


def test_the_copies_of_what_is_deleted_go(rows, scheduler, play, job, state):
    """And those of others stay."""
    key, uid = job
    rows.add_cluster("second", nodes=1)
    other = rows.add_job("other", cluster="second", **ON_JOB)
    scheduler.settle()
    rows.delete(key)
    scheduler.settle()
    play.end(uid, "copy-in-1", 143)
    assert not rows.exists(key)
    left = {path.name for path in state.volumes.iterdir() if not path.name.startswith(".")}
    assert left == {rows.job(other)["uid"]}


def test_volumes_of_clusters_are_not_remembered_for_ever(
    rows, store, hand_clock, changes, engine, accounts, shares, state
):
    """They have keys in them; a few of the last ones are."""
    places = VolumePlaces(
        state, FileServerDisks(store, state), StorageEndpoints("http://127.0.0.1:1")
    )
    ledger = Ledger(store, hand_clock, changes)
    volumes = JobVolumes(ledger, engine, Volumes(accounts, shares, places), state.volumes)
    setup, secrets = {"mountVolumes": VOLUMES}, {"accountKeys": {"vol": KEY}}
    for number in range(100):
        key = rows.add_cluster(f"cluster{number}", setup=setup, secrets=secrets)
        assert [volume.key for volume in volumes._of_cluster(key)] == [KEY]

    assert 1 < len(volumes._of_clusters) < 100
