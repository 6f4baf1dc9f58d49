"""The engine beside a driver that says what the test has it say."""

from pathlib import Path

import pytest
from attrs import evolve

from batchai_recipes.service.engines.engine import (
    Ended,
    EngineError,
    Lost,
    Machine,
    Mount,
    MountError,
    NotYetError,
    Running,
    TaskKey,
)
from batchai_recipes.service.engines.file_end import FileEnd
from batchai_recipes.service.engines.ray import engine as module
from batchai_recipes.service.engines.ray import hearing, questions
from batchai_recipes.service.engines.ray.engine import RayEngine
from batchai_recipes.service.engines.ray.messages import (
    Adopt,
    Answer,
    Changed,
    Changes,
    Connected,
    EarlierNode,
    Failed,
    Gone,
    Leave,
    Make,
    NodeFacts,
    Prepared,
    Refusal,
    Release,
    Sweep,
    Up,
)

KEY = TaskKey("job", "uid", "process-0")
FACTS = NodeFacts("10.0.0.1", "eth0", "machine", "group", sees_state=True)
ENDED = Ended("exited", 0, None)
GONE = Failed("nobody answers")


class Link:
    """Stands for the driver."""

    def __init__(self, home, options, log, heard):
        del home, options, log
        self.heard = heard
        self.sent = []
        self.called = []
        self.waiting = []
        self.hung = set()
        self.answer = None

    def start(self):
        """Begin."""

    def stop(self):
        """End."""

    def send(self, message):
        """Take note."""
        self.sent.append(message)
        return True

    def tell(self, node_id, method, *arguments):
        """Take note."""
        self.called.append((node_id, method, *arguments))

    def ask(self, node_id, method, *arguments, answered):
        """Answer as a node does, unless that hangs."""
        self.called.append((node_id, method, *arguments))
        if node_id in self.hung:
            self.waiting.append(answered)
            return
        values = {"prepare": Prepared("/mnt", 0, {}), "ports": (7000,), "end_of_file": FileEnd()}
        answered(self.answer or Answer(1, values.get(method)))


class Service:
    """A service's engine, its driver, and a clock that is moved by hand."""

    def __init__(self, state):
        self.now = 0.0
        self.notified = []
        self.engine = RayEngine(state, monotonic=lambda: self.now)
        self.engine.start(lambda *owner: self.notified.append(owner))
        self.link = self.engine._link

    def hear(self, message):
        """Let the driver say something."""
        self.link.heard(message)

    def with_node(self):
        """Have a node that is there."""
        self.hear(Connected())
        assert not self.engine.prepare_node("node", (), machine=Machine("cluster"))
        self.hear(Up("node", FACTS))
        assert self.engine.prepare_node("node", ())
        return self

    def tell(self, status):
        """Let the node tell of the job's task."""
        run = self.engine._runs.find("job", "uid").run
        self.hear(Changed("node", Changes({("job", run): {"process-0": status}}, 1)))


@pytest.fixture
def new_service(state, monkeypatch):
    """Make services over one state directory."""
    monkeypatch.setattr(module, "DriverLink", Link)
    return lambda: Service(state)


@pytest.fixture
def service(new_service):
    """A service with a node."""
    return new_service().with_node()


class TestHead:
    """Ray's head is away."""

    def test_for_less_than_two_minutes_nothing_is_lost(self, service, new_task):
        """The driver says each time that it failed; then it finds the head, and the nodes."""
        service.engine.launch(new_task("true"))
        for service.now in (0.0, 60.0, 119.0):
            service.hear(GONE)
        assert service.engine.lost("node") == ""
        service.hear(Connected())
        assert service.link.sent[-2:] == [
            Adopt((EarlierNode("node", FACTS, "cluster"),)),
            Sweep(("node",)),
        ]
        service.now = 200.0
        service.hear(GONE)  # it is away again, but for no time yet
        assert service.engine.lost("node") == ""
        assert service.engine.tasks("job", "uid") == {"process-0": Running()}

    def test_after_two_minutes_its_nodes_are_lost(self, service, new_task):
        """With what ran on them, and the reason."""
        service.engine.launch(new_task("true"))
        for service.now in (0.0, 121.0):
            service.hear(GONE)
        assert "out of reach" in service.engine.lost("node")
        assert "nobody answers" in service.engine.lost("node")
        assert service.engine.tasks("job", "uid") == {"process-0": Lost()}
        assert ("node", "node") in service.notified

    def test_what_had_ended_before_has(self, service, new_task):
        """A lost node takes back nothing."""
        service.engine.launch(new_task("true"))
        service.tell(ENDED)
        for service.now in (0.0, 121.0):
            service.hear(GONE)
        assert service.engine.tasks("job", "uid") == {"process-0": ENDED}


class TestLoss:
    """Nodes that are no more."""

    def test_what_a_lost_node_says_late_does_not_count(self, service, new_task):
        """It was cut off, its job has been counted, and it comes back with a result."""
        service.engine.launch(new_task("true"))
        service.hear(Gone("node", "its machine is dead"))
        service.tell(ENDED)
        assert service.engine.tasks("job", "uid") == {"process-0": Lost()}

    def test_what_it_said_before_counts(self, service, new_task, monkeypatch):
        """Also if it says so, and is lost, while somebody looks at its tasks."""
        engine = service.engine
        engine.launch(new_task("true"))
        read = engine._runs.tasks

        def read_before_both(*owner):
            found = read(*owner)
            monkeypatch.undo()
            service.tell(ENDED)
            service.hear(Gone("node", "its machine is dead"))
            return found

        monkeypatch.setattr(engine._runs, "tasks", read_before_both)
        assert engine.tasks("job", "uid") == {"process-0": ENDED}

    def test_it_stays_lost_for_the_next_service(self, service, new_service):
        """Which does not look for it."""
        service.hear(Gone("node", "its machine is dead"))
        later = new_service()
        later.hear(Connected())
        assert later.engine.lost("node") == "its machine is dead"
        assert later.link.sent == [Sweep(())]
        with pytest.raises(EngineError, match="its machine is dead"):
            later.engine.prepare_node("node", ())

    def test_it_does_not_come_back(self, service):
        """A driver that still says that it is there is told to end it."""
        service.hear(Gone("node", "its machine is dead"))
        service.hear(Up("node", FACTS))
        assert service.link.sent[-1] == Release("node")
        assert service.engine.lost("node") == "its machine is dead"

    def test_a_node_that_cannot_be_made(self, new_service):
        """Says why, and is not lost: it never was."""
        service = new_service()
        service.hear(Connected())
        service.engine.prepare_node("node", ())
        service.hear(Gone("node", "Ray had no machine", placed=False))
        with pytest.raises(EngineError, match="Ray had no machine"):
            service.engine.prepare_node("node", ())
        assert service.engine.lost("node") == ""

    def test_a_node_that_nobody_wants_any_more_is_released(self, new_service):
        """It came up after its cluster had been deleted."""
        service = new_service()
        service.hear(Connected())
        service.engine.prepare_node("node", ())
        service.engine.release_node("node")
        service.hear(Up("node", FACTS))
        assert [type(each) for each in service.link.sent] == [Sweep, Make, Release, Release]


class TestLaunch:
    """Tasks through a driver that may be lost."""

    def test_one_call_starts_a_task(self, service, new_task):
        """And nothing is asked after that."""
        service.link.called.clear()
        service.engine.launch(new_task("true"))
        assert [method for _, method, *_ in service.link.called] == ["launch"]

    def test_a_launch_without_an_answer_counts(self, service, new_task):
        """It may have been heard: only the node can say that it was not."""
        service.link.answer = Answer(1, unreachable="no answer")
        service.engine.launch(new_task("true"))
        assert service.engine.tasks("job", "uid") == {"process-0": Running()}
        service.hear(Connected())
        service.hear(Changed("node", Changes({}, 1, whole=True)))
        assert service.engine.tasks("job", "uid") == {}
        assert ("job", "uid") in service.notified

    def test_a_launch_that_nobody_heard_does_not(self, service, new_task, monkeypatch):
        """The job is not lost with the node: it is launched again, there or elsewhere."""
        soon = []
        monkeypatch.setattr(hearing, "later", lambda _, tell, *owner: soon.append(owner))
        service.link.answer = Answer(1, unreachable="there is no driver", unheard=True)
        service.engine.launch(new_task("true"))
        assert service.engine.tasks("job", "uid") == {}
        assert soon == [("job", "uid")]
        service.hear(Gone("node", "its machine is dead"))
        assert service.engine.tasks("job", "uid") == {}

    def test_that_nobody_heard_of_an_earlier_run_says_nothing_of_this(self, service, new_task):
        """The job was queued again meanwhile."""
        service.link.hung = {"node"}
        service.engine.launch(new_task("true"))
        service.engine.release_job("uid")
        service.engine.launch(new_task("true"))
        service.link.waiting[0](Answer(1, unreachable="the node is gone", unheard=True))
        assert service.engine.tasks("job", "uid") == {"process-0": Running()}

    def test_a_refused_launch_does_not(self, service, new_task):
        """Whoever launches it again, since they are told to look, gets the error, once."""
        service.link.answer = Answer(1, Refusal("EngineError", "no room"))
        service.engine.launch(new_task("true"))
        assert service.engine.tasks("job", "uid") == {}
        assert service.notified[-1] == ("job", "uid")
        with pytest.raises(EngineError, match="no room"):
            service.engine.launch(new_task("true"))
        service.link.answer = None
        service.engine.launch(new_task("true"))
        assert service.engine.tasks("job", "uid") == {"process-0": Running()}

    def test_a_volume_that_cannot_be_mounted_is_told_apart(self, service, new_task):
        """The job says so."""
        service.link.answer = Answer(1, Refusal("MountError", "no share"))
        service.engine.launch(new_task("true"))
        with pytest.raises(MountError, match="no share"):
            service.engine.launch(new_task("true"))

    def test_a_refusal_of_what_runs_does_not_count(self, service, new_task):
        """The first answer was lost, and the second time the node found something in the way."""
        service.link.hung = {"node"}
        service.engine.launch(new_task("true"))
        service.tell(Running())
        service.link.waiting[0](Answer(1, Refusal("EngineError", "no room")))
        assert service.engine.tasks("job", "uid") == {"process-0": Running()}

    def test_a_refusal_of_an_earlier_run_does_not_count(self, service, new_task):
        """The job was queued again meanwhile."""
        service.link.hung = {"node"}
        service.engine.launch(new_task("true"))
        service.engine.release_job("uid")
        service.engine.launch(new_task("true"))
        service.link.waiting[0](Answer(1, Refusal("EngineError", "no room")))
        assert service.engine.tasks("job", "uid") == {"process-0": Running()}

    def test_a_task_that_is_to_end_before_its_node_has_answered(self, service, new_task):
        """The node may hear of the end first, so it is told again once it knows the task."""
        service.link.hung = {"node"}
        service.engine.launch(new_task("true"))
        service.engine.terminate(KEY)
        service.link.called.clear()
        service.link.waiting[0](Answer(1))
        run = service.engine._runs.find("job", "uid").run
        assert service.link.called == [("node", "terminate", "job", run, "process-0")]

    def test_a_wish_to_end_survives_its_driver(self, service, new_task):
        """The node that has not heard of it is asked again."""
        service.engine.launch(new_task("true"))
        service.engine.terminate(KEY)
        service.link.called.clear()
        run = service.engine._runs.find("job", "uid").run
        service.hear(Connected())
        told = Changes({("job", run): {"process-0": Running()}}, 1, whole=True)
        service.hear(Changed("node", told))
        assert service.link.called == [("node", "terminate", "job", run, "process-0")]

    def test_no_launch_on_a_lost_node(self, service, new_task):
        """Whoever asks has not heard of the loss yet; nothing of the job has begun."""
        service.hear(Gone("node", "its machine is dead"))
        service.link.called.clear()
        service.engine.launch(new_task("true"))
        assert (service.link.called, service.engine.tasks("job", "uid")) == ([], {})

    def test_no_launch_on_a_node_that_is_not_there(self, service, new_task):
        """It is an error."""
        service.engine.release_node("node")
        with pytest.raises(EngineError, match="Node node is not there"):
            service.engine.launch(new_task("true"))


class TestHung:
    """A node that does not answer holds up nobody who has to do with others."""

    @pytest.fixture
    def service(self, service):
        """A service with a node that answers and one that hangs."""
        service.engine.prepare_node("hung", (), machine=Machine("cluster"))
        service.hear(Up("hung", FACTS))
        assert service.engine.prepare_node("hung", ())
        service.link.hung = {"hung"}
        return service

    def test_tasks_of_others_are_launched(self, service, new_task):
        """While its own is on the way."""
        on_hung = new_task("true")
        on_hung = evolve(on_hung, key=evolve(KEY, owner_id="other"), node_id="hung")
        service.engine.launch(on_hung)
        service.engine.launch(new_task("true"))
        asked = [(node, method) for node, method, *_ in service.link.called[-2:]]
        assert asked == [("hung", "launch"), ("node", "launch")]
        service.hear(Gone("hung", "it has been silent"))
        assert service.engine.tasks("job", "other") == {"process-0": Lost()}
        assert service.engine.tasks("job", "uid") == {"process-0": Running()}

    def test_what_it_is_asked_comes_later(self, service):
        """Each thing is asked once, and who wants to know is told when it is there."""
        for _ in range(2):
            with pytest.raises(NotYetError):
                service.engine.ports("uid", "hung", 1)
            with pytest.raises(NotYetError):
                service.engine.end_of_file("hung", "/file", 10)
            assert not service.engine.prepare_node("hung", (Mount("afs", Path("/tmp")),))
        assert len(service.link.waiting) == 3
        assert service.engine.ports("uid", "node", 1) == (7000,)
        ports, end, prepared = service.link.waiting
        service.notified.clear()
        ports(Answer(1, (7001,)))
        end(Answer(2, FileEnd(b"the end", is_all=True)))
        prepared(Answer(3, Prepared("/mnt", 0, {})))
        assert service.notified == [("job", "uid"), ("node", "hung"), ("node", "hung")]
        assert service.engine.ports("uid", "hung", 1) == (7001,)
        assert service.engine.end_of_file("hung", "/file", 10).content == b"the end"
        assert service.engine.prepare_node("hung", (Mount("afs", Path("/tmp")),))
        assert len(service.link.waiting) == 3

    def test_a_refusal_comes_later_too(self, service):
        """And is asked for again by whoever tries again."""
        with pytest.raises(NotYetError):
            service.engine.ports("uid", "hung", 1)
        service.link.waiting[0](Answer(1, Refusal("EngineError", "no free ports")))
        with pytest.raises(EngineError, match="no free ports"):
            service.engine.ports("uid", "hung", 1)
        with pytest.raises(NotYetError):
            service.engine.ports("uid", "hung", 1)

    def test_who_cannot_be_asked_is_asked_again(self, service, monkeypatch):
        """A little later; whoever wants to know is told when."""
        put_off = []
        monkeypatch.setattr(questions, "later", lambda *call: put_off.append(call))
        with pytest.raises(NotYetError):
            service.engine.ports("uid", "hung", 1)
        service.link.waiting[0](Answer(1, unreachable="the driver ended"))
        ((_, notify, *owner),) = put_off
        service.notified.clear()
        notify(*owner)
        assert service.notified == [("job", "uid")]
        with pytest.raises(NotYetError):
            service.engine.ports("uid", "hung", 1)
        assert len(service.link.waiting) == 2

    def test_what_comes_for_an_earlier_run_is_not_of_this_one(self, service):
        """The job was queued again meanwhile."""
        with pytest.raises(NotYetError):
            service.engine.ports("uid", "hung", 1)
        service.engine.release_job("uid")
        service.link.waiting[0](Answer(1, (7001,)))
        with pytest.raises(NotYetError):
            service.engine.ports("uid", "hung", 1)


class TestStop:
    """The service stops."""

    def test_nodes_go_on(self, service):
        """The next service finds them."""
        service.link.sent.clear()
        service.engine.stop()
        assert service.link.sent == []

    def test_nodes_of_a_deleted_state_do_not(self, service, state):
        """Nobody would find them."""
        (state.root / "ray.json").unlink()
        service.engine.stop()
        assert service.link.sent[-1] == Leave()
