"""How the scheduler goes on with an engine that asks nodes and does not wait for their answers."""

import pytest

from batchai_recipes.service.engines.engine import EngineError, MountError, NotYetError
from batchai_recipes.service.engines.file_end import FileEnd
from batchai_recipes.service.engines.simulated import SimulatedEngine

PYTORCH = {
    "toolType": "pytorch",
    "pyTorchSettings": {"pythonScriptFilePath": "train.py", "communicationBackend": "gloo"},
}


class AskingEngine(SimulatedEngine):
    """Says that it has asked, until the test has the node answer."""

    def __init__(self, clock):
        super().__init__(clock)
        self.answers = {}
        self._refused = {}

    def answer(self, what, answer, *owner):
        """Let a node answer."""
        self.answers[what] = answer
        self._notify(*owner)

    def ports(self, job_uid, node_id, count):
        """Ask the node."""
        del job_uid, node_id, count
        return self._answered("ports")

    def end_of_file(self, node_id, path, most_bytes):
        """Ask the node."""
        del node_id, path, most_bytes
        return self._answered("end")

    def _answered(self, what):
        if what not in self.answers:
            raise NotYetError
        return self.answers[what]

    def launch(self, task):
        """Raise what the node answered to the last attempt, if it refused that."""
        if task.key in self._refused:
            raise self._refused.pop(task.key)
        super().launch(task)

    def refuse(self, key, error):
        """Let a node refuse to start a task that counts as launched."""
        del self._tasks[key.owner, key.owner_id][key.name]
        self._refused[key] = error
        self._notify(key.owner, key.owner_id)


@pytest.fixture
def engine(hand_clock):
    """An engine that asks."""
    return AskingEngine(hand_clock)


def errors_of(job):
    """The codes and the messages of a job's errors."""
    return [(error["code"], error["message"]) for error in job["errors"]]


def test_a_job_waits_for_its_port_and_others_do_not(rows, scheduler, engine):
    """It is looked at again when the node has answered, and not before."""
    rows.add_cluster(nodes=3)
    job = rows.add_job(nodes=2, **PYTORCH)
    other = rows.add_job("other")
    scheduler.settle()
    assert engine.running() == [rows.task_of(other)]
    assert rows.job(job)["execution_state"] == "running"
    engine.answer("ports", (7000,), "job", rows.job(job)["uid"])
    scheduler.settle()
    assert [rows.task_of(job, f"rank-{rank}") for rank in (0, 1)] == engine.running()[1:]


def test_a_job_that_waits_for_its_port_can_be_terminated(rows, scheduler):
    """Nothing of it has been launched."""
    rows.add_cluster(nodes=2)
    job = rows.add_job(nodes=2, **PYTORCH)
    scheduler.settle()
    rows.terminate(job)
    scheduler.settle()
    assert [code for code, _ in errors_of(rows.job(job))] == ["JobTerminated"]


@pytest.mark.parametrize(
    ("error", "code"),
    [(EngineError("no room"), "JobFailed"), (MountError("no room"), "ShareMountFailed")],
)
def test_a_job_that_its_node_refuses_fails(rows, scheduler, engine, error, code):
    """Once, with the reason, and its node is free for others."""
    cluster = rows.add_cluster()
    job = rows.add_job()
    scheduler.settle()
    engine.refuse(rows.task_of(job), error)
    scheduler.settle()
    ((found, message),) = errors_of(rows.job(job))
    assert (rows.job(job)["execution_state"], found) == ("failed", code)
    assert message.endswith("no room")
    assert rows.node_states(cluster) == ["idle"]


def test_what_one_node_refuses_ends_what_others_have_begun(rows, scheduler, engine):
    """The job tells of the refusal, not of the end of what was terminated because of it."""
    engine.answers["ports"] = (7000,)
    cluster = rows.add_cluster(nodes=2)
    job = rows.add_job(nodes=2, **PYTORCH)
    scheduler.settle()
    engine.refuse(rows.task_of(job, "rank-0"), EngineError("no room"))
    scheduler.settle()
    assert engine.running() == []
    assert errors_of(rows.job(job)) == [("JobFailed", "The job was not started: no room")]
    assert rows.node_states(cluster) == ["idle", "idle"]


def test_a_node_is_unusable_when_the_end_of_its_setups_stderr_has_come(rows, scheduler, engine):
    """Which the error tells."""
    cluster = rows.add_cluster(setup={"setupTask": {"commandLine": "false"}})
    scheduler.settle()
    (task,) = engine.launched
    engine.end(task.key, 9)
    scheduler.settle()
    assert rows.node_states(cluster) == ["preparing"]
    engine.answer("end", FileEnd(b"no such host", is_all=True), "node", task.node_id)
    scheduler.settle()
    assert rows.node_states(cluster) == ["unusable"]
    (error,) = rows.cluster(cluster)["errors"]
    assert {"name": "stderr", "value": "no such host"} in error["details"]


def test_a_setup_task_that_its_node_refuses(rows, scheduler, engine):
    """Makes the node unusable, for that reason."""
    cluster = rows.add_cluster(setup={"setupTask": {"commandLine": "true"}})
    scheduler.settle()
    engine.refuse(engine.launched[0].key, EngineError("no room"))
    scheduler.settle()
    assert rows.node_states(cluster) == ["unusable"]
    (error,) = rows.cluster(cluster)["errors"]
    assert (error["code"], error["message"]) == ("NodePreparationFailed", "no room")
