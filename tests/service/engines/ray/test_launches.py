"""The tasks of a node that has real processes and, here, no Ray."""

import threading
from pathlib import Path

import pytest
from attrs import evolve

from batchai_recipes.service.engines.engine import Ended, Mount, Running
from batchai_recipes.service.engines.ray.launches import Launches
from batchai_recipes.service.engines.ray.messages import Home, Launch, Refusal
from batchai_recipes.service.engines.ray.node import RayNode

RUN = ("job", "uid.1")
PATIENCE_SECONDS = 30.0


@pytest.fixture
def launch(new_task):
    """A launch of a task that ends at once."""
    return Launch(new_task("exit 3"), "uid.1")


class TestLaunches:
    """What is known of a task before there is a process."""

    def test_a_task_is_known_once(self, launch):
        """Asking for it again, as when an answer was lost, starts nothing."""
        launches = Launches()
        assert launches.add(launch, waits=False)
        assert not launches.add(launch, waits=False)

    def test_one_that_waits_may_be_terminated(self, launch):
        """It ends without having begun, and nobody may start it."""
        launches = Launches()
        launches.add(launch, waits=True)
        assert launches.terminate(RUN, "process-0")
        assert not launches.take(launch)
        status = launches.status(RUN, "process-0", was_started=False)
        assert (status.reason, status.exit_code) == ("terminated", 143)

    def test_one_that_is_being_started_ends_after_that(self, launch):
        """Whoever starts it is told."""
        launches = Launches()
        launches.add(launch, waits=True)
        assert launches.take(launch)
        assert launches.terminate(RUN, "process-0")
        assert launches.status(RUN, "process-0", was_started=False) == Running()
        assert launches.started(launch)

    def test_one_that_runs_is_not_its_business(self, launch):
        """Its supervisor ends it."""
        launches = Launches()
        launches.add(launch, waits=False)
        assert not launches.started(launch)
        assert not launches.terminate(RUN, "process-0")

    def test_one_whose_supervisor_was_killed_at_once(self, launch):
        """It never came up, and says so each time in the same words."""
        launches = Launches()
        launches.add(launch, waits=False)
        launches.started(launch)
        first = launches.status(RUN, "process-0", was_started=True)
        assert (first.reason, "killed before" in first.message) == ("not started", True)
        assert launches.status(RUN, "process-0", was_started=True) == first


@pytest.fixture
def node(tmp_path):
    """A node of a service whose state directory it sees."""
    probe = tmp_path / "ray.json"
    probe.write_text("service-1")
    home = Home("service-1", str(tmp_path / "node"), str(probe), str(tmp_path), containers="never")
    node = RayNode("node", home, "group", "127.0.0.1", "machine", reach=lambda *_: None)
    assert not isinstance(node.prepare((), 0), Refusal)
    yield node
    node.release_run("uid.1")
    node.end()


def hear(node, received=0, *, until):
    """Follow a node until a condition holds for a task; return its status."""
    status = None
    while status is None or not until(status):
        changes = node.changes(1, received, PATIENCE_SECONDS)
        received = changes.number
        status = changes.tasks.get(RUN, {}).get("process-0", status)
    return status


class TestNode:
    """A node by itself."""

    def test_the_end_of_a_task_is_told(self, node, launch):
        """Without being asked for."""
        assert node.launch(launch) is None
        assert hear(node, until=lambda s: isinstance(s, Ended)).exit_code == 3

    def test_a_launch_that_is_repeated_is_told_again(self, node, launch):
        """Whoever repeats it may have missed what became of it."""
        node.launch(launch)
        hear(node, until=lambda s: isinstance(s, Ended))
        number = node.changes(1, 0, 0.0).number
        node.launch(launch)
        assert hear(node, number, until=lambda s: isinstance(s, Ended)).exit_code == 3

    def test_concurrent_launches_start_one(self, node, new_task, output):
        """Ray may deliver a call twice, or late."""
        launch = Launch(new_task("echo once"), "uid.1")
        threads = [threading.Thread(target=node.launch, args=(launch,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        hear(node, until=lambda s: isinstance(s, Ended))
        assert (output / "stdout.txt").read_text() == "once\n"

    def test_a_refused_launch_may_be_repeated(self, node, launch):
        """Nothing of it is left."""
        bad = evolve(launch, mounts=(Mount("afs", Path("/nothing/here")),))
        assert node.launch(bad).kind == "MountError"
        assert node.launch(launch) is None
        assert hear(node, until=lambda s: isinstance(s, Ended)).exit_code == 3

    def test_releasing_a_run_ends_it(self, node, new_task, fifo, processes):
        """Nothing of it runs on, and its folders are gone."""
        path, line = fifo
        node.launch(Launch(new_task(f"echo $$ > {path}; exec sleep 1000"), "uid.1"))
        pid = int(line())
        node.release_run("uid.1")
        assert processes.is_gone(pid)
        assert node._report.tasks(RUN) == {}
