"""How jobs of several processes end."""

import itertools
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.engines.engine import Ended, Lost, Running
from batchai_recipes.service.scheduling.job_outcome import Stop, decides, judge
from batchai_recipes.service.scheduling.job_records import JobRecord

START = datetime(2018, 6, 6, tzinfo=timezone.utc)
JOB = JobRecord(
    key="job",
    name="job",
    uid="uid",
    cluster_key="cluster",
    node_count=2,
    started_at=START,
    properties={},
    environment_secrets={},
    account_keys={},
    node_ids=("node-a", "node-b"),
)


def ended(second, code=0, reason="exited"):
    """A task that ended some seconds after the start."""
    return Ended(reason, code, START + timedelta(seconds=second))


def told(tasks, stop=None):
    """Judge, and return the state, exit code and error that come of it."""
    outcome = judge(JOB, tasks, stop)
    return outcome and (outcome.state, outcome.exit_code, outcome.error)


def test_the_job_goes_on_until_all_ranks_have_ended():
    """One that is done waits for the others."""
    assert judge(JOB, {"rank-0": ended(1), "rank-1": Running()}, None) is None


def test_the_first_rank_that_failed_tells_why():
    """Others fail because of it, whatever their number and exit code."""
    tasks = {"rank-0": ended(3, 9), "rank-1": ended(2, 7), "rank-2": ended(2.5, 1, "terminated")}
    state, code, error = told(tasks)
    assert (state, code) == ("failed", 7)
    assert "The job's rank 1 failed with exit code 7" in error.message
    assert error.details == {"file": "stderr-1.txt"}


def test_a_failed_preparation_names_its_node():
    """For each node writes a file of its own."""
    _, _, error = told({"preparation-0": Running(), "preparation-1": ended(1, 1)})
    assert error.code == "JobPreparationFailed"
    assert error.details == {"file": "stderr-job_prep-node-b.txt"}


@pytest.mark.parametrize(
    "name", ["", "-", "daemon", "daemon-", "rank-x", "rank-²", "preparation-x", "preparation-2"]
)
def test_a_task_of_an_unknown_name_fails_its_job_by_that_name(name):
    """As one that another release launched: it has no file that could be named."""
    state, code, error = told({"process-0": Running(), name: ended(1, 3)})
    assert (state, code, error.code, error.details) == ("failed", 3, "JobFailed", {})
    assert f"The job's task {name!r} failed with exit code 3" in error.message
    assert error.message.endswith("Look at the files of its standard output directory")


@pytest.mark.parametrize("follower", [Running(), Lost(), ended(5, 1), ended(5, 143, "terminated")])
def test_what_follows_the_master_cannot_undo_its_success(follower):
    """Parameter servers never end by themselves, and workers may stumble when the master goes."""
    assert judge(JOB, {"master-0": ended(4), "server-0": follower}, None) is None
    assert judge(JOB, {"master-0": ended(4), "worker-1": follower}, Stop("enough")) is None


def test_a_worker_that_fails_under_a_running_master_fails_the_job():
    """The master would wait for it."""
    state, code, error = told({"master-0": Running(), "worker-1": ended(1, 3)})
    assert (state, code, error.details) == ("failed", 3, {"file": "stderr-wk-1.txt"})


def test_a_lost_rank_loses_the_job():
    """The rest is terminated."""
    assert told({"rank-0": Running(), "rank-1": Lost()})[2].code == "JobLost"


STATUS = st.one_of(
    st.just(Running()),
    st.just(Lost()),
    st.builds(
        ended,
        st.integers(0, 9),
        st.sampled_from([0, 0, 1, 7]),
        st.sampled_from(["exited", "exited", "terminated"]),
    ),
)


@given(
    st.dictionaries(
        st.sampled_from(["rank-0", "rank-1", "rank-2", "worker-1", "server-0"]), STATUS, min_size=1
    ),
    st.sampled_from([None, Stop("enough"), Stop("nodes left", requeue=True)]),
)
def test_the_order_in_which_tasks_are_seen_does_not_matter(tasks, stop):
    """And only success of all that decide, or something running, lets the job go on."""
    verdicts = {str(told(dict(order), stop)) for order in itertools.permutations(tasks.items())}
    if stop is None:
        assert len(verdicts) == 1
    if told(tasks, stop) is None:
        deciding = [status for name, status in tasks.items() if decides(name)]
        done = all(isinstance(one, Ended) and one.exit_code == 0 for one in deciding)
        assert done or (stop is None and Running() in tasks.values())
