"""Changes of a job's state, with their times."""

from datetime import datetime, timezone

import pytest

from batchai_recipes import JobFailedError, StateChange, WaitTimeoutError

CREATED, STARTED, ENDED = (f"2018-06-07T00:55:0{n}Z" for n in (1, 2, 3))


def at(second):
    """Return a time of the service's."""
    return datetime(2018, 6, 7, 0, 55, second, tzinfo=timezone.utc)


def job(state, **info):
    """Return a job as a service would describe it."""
    return {
        "properties": {
            "creationTime": CREATED,
            "executionState": state,
            "executionStateTransitionTime": {"queued": CREATED, "running": STARTED}.get(
                state, ENDED
            ),
            "executionInfo": info,
        }
    }


WHOLE = [
    StateChange("j", "queued", at(1)),
    StateChange("j", "running", at(2)),
    StateChange("j", "succeeded", at(3)),
]


@pytest.mark.parametrize(
    "looks",
    [["queued", "queued", "running", "succeeded"], ["queued", "succeeded"], ["succeeded"]],
)
def test_states_between_two_looks_are_not_missed(endpoint, run, looks):
    """The service tells when they began."""
    endpoint.on("GET", "/jobs/j", *[job(s, startTime=STARTED, endTime=ENDED) for s in looks])

    assert list(run.events()) == WHOLE
    assert [change.ended for change in WHOLE] == [False, False, True]


def test_a_job_that_never_ran_was_never_running(endpoint, run):
    """As one that was terminated in the queue."""
    endpoint.on("GET", "/jobs/j", job("failed"))

    assert [change.state for change in run.events()] == ["queued", "failed"]


def test_a_job_that_was_preempted_is_queued_again(endpoint, run):
    """Each state counts as often as it comes."""
    looks = ["queued", "running", "queued", "running", "terminating", "failed"]
    endpoint.on("GET", "/jobs/j", *[job(state, startTime=STARTED) for state in looks])

    assert [change.state for change in run.events()] == looks


def test_waiting_tells_of_changes(endpoint, run):
    """Before it raises, too."""
    endpoint.on("GET", "/jobs/j", job("queued"), job("failed", startTime=STARTED, exitCode=1))
    told = []

    with pytest.raises(JobFailedError):
        run.wait(on_change=told.append)
    assert [change.state for change in told] == ["queued", "running", "failed"]


def test_events_can_be_bounded(endpoint, run):
    """The job goes on."""
    endpoint.on("GET", "/jobs/j", job("running"))
    seen = []

    with pytest.raises(WaitTimeoutError, match="still running after 2 s"):
        seen.extend(run.events(timeout=2))
