"""What the service knows of its tasks, whatever drivers come and go."""

import pytest

from batchai_recipes.service.engines.engine import Ended, EngineError, Running, TaskKey
from batchai_recipes.service.engines.ray.messages import Changes, Refusal
from batchai_recipes.service.engines.ray.runs import Runs

KEY = TaskKey("job", "uid", "process-0")
ENDED = Ended("exited", 0, None)


@pytest.fixture
def runs(state):
    """A service's, whose first driver is there."""
    return with_driver(Runs(state))


def with_driver(runs):
    """Let the next driver begin."""
    runs.begin_driver()
    return runs


def told(runs, *, whole=False, **tasks):
    """Let the node tell of the job's current run."""
    run = runs.of("job", "uid", ("node",)).run
    tasks = {name.replace("_", "-"): status for name, status in tasks.items()}
    return runs.learn("node", Changes({("job", run): tasks} if tasks else {}, 1, whole=whole))


def test_what_was_not_told_runs(runs):
    """A launch counts from before the node is asked."""
    runs.launch(KEY, "node")
    assert runs.tasks("job", "uid") == {"process-0": ("node", Running())}
    assert runs.launch(KEY, "node") is None


def test_a_report_that_is_older_than_a_launch_does_not_undo_it(runs):
    """The node had told everything when it was asked for the task; both arrive after that."""
    runs.launch(KEY, "node")
    assert told(runs, whole=True).changed == []
    assert runs.tasks("job", "uid") == {"process-0": ("node", Running())}
    assert told(runs, process_0=ENDED).changed == [("job", "uid")]
    assert runs.tasks("job", "uid") == {"process-0": ("node", ENDED)}


@pytest.mark.parametrize("restarted", [False, True])
def test_what_an_earlier_driver_lost_is_forgotten(runs, state, restarted):
    """Whether the service died with it or not: the next one may launch it again."""
    runs.launch(KEY, "node")
    later = with_driver(Runs(state) if restarted else runs)
    assert told(later, whole=True).changed == [("job", "uid")]
    assert later.tasks("job", "uid") == {}
    assert later.launch(KEY, "node") is not None


def test_what_the_node_knows_is_not_forgotten(runs, state):
    """An end in the meantime is learnt."""
    runs.launch(KEY, "node")
    later = with_driver(Runs(state))
    told(later, whole=True, process_0=ENDED)
    assert later.tasks("job", "uid") == {"process-0": ("node", ENDED)}


def test_a_launch_that_was_late_after_all_counts(runs):
    """It was thought to be lost with its driver, and was not."""
    runs.launch(KEY, "node")
    with_driver(runs)
    told(runs, whole=True)
    assert runs.tasks("job", "uid") == {}
    assert told(runs, process_0=ENDED).changed == [("job", "uid")]
    assert runs.tasks("job", "uid") == {"process-0": ("node", ENDED)}


def test_nothing_of_another_run_counts(runs):
    """The job was queued again, and its second run is under way."""
    first = runs.launch(KEY, "node").run
    runs.forget("job", "uid")
    second = runs.launch(KEY, "node").run
    assert first != second
    learnt = runs.learn("node", Changes({("job", first): {"process-0": ENDED}}, 1))
    assert (learnt.changed, learnt.over) == ([], [first])
    assert runs.tasks("job", "uid") == {"process-0": ("node", Running())}


def test_nothing_of_another_node_counts(runs):
    """A task is of the node that was asked for it."""
    runs.launch(KEY, "node")
    run = runs.find("job", "uid").run
    learnt = runs.learn("stranger", Changes({("job", run): {"process-0": ENDED}}, 1))
    assert learnt.changed == []
    assert runs.tasks("job", "uid") == {"process-0": ("node", Running())}


def test_a_wish_that_a_driver_lost_is_repeated(runs):
    """A task that is to end and that runs, as the node tells, has not heard of it."""
    runs.launch(KEY, "node")
    node_id, run = runs.end(KEY)
    assert node_id == "node"
    assert told(runs, process_0=Running()).unheard == []
    with_driver(runs)
    assert told(runs, whole=True, process_0=Running()).unheard == [("job", run, "process-0")]
    assert told(runs, whole=True, process_0=ENDED).unheard == []


def test_a_refused_task_may_be_launched_again(runs):
    """Who does so first is told why, and the next may try."""
    run = runs.launch(KEY, "node").run
    assert runs.refuse(KEY, run, Refusal("EngineError", "no room"))
    assert runs.tasks("job", "uid") == {}
    with pytest.raises(EngineError, match="no room"):
        runs.launch(KEY, "node")
    assert runs.launch(KEY, "node") is not None
    assert not runs.refuse(KEY, "another run", Refusal("EngineError", "no room"))


def test_there_is_nothing_of_no_job(runs):
    """Nor is it an error."""
    assert runs.tasks("job", "none") == {}
    assert runs.end(TaskKey("job", "none", "process-0")) is None
    assert runs.forget("job", "none") is None
