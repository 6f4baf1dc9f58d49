"""Services that do not answer for longer than the clients try by themselves."""

import pytest
import requests
from attrs import evolve

from batchai_recipes import JobRun, RequestError, WaitTimeoutError

RESET = requests.ConnectionError("connection refused")
FAULTS = {
    "refused": RESET,
    "503": (503, {"Content-Type": "application/json"}, "{}"),
    "502": (502, {}, ""),
}


@pytest.fixture
def away(files, clock, waits):
    """Let the service be away from now on, for so many seconds of what a run waits."""

    def begin(fault, seconds, *kinds):
        ends = clock.now + seconds

        def before(kind, name):
            if clock.now < ends:
                return fault if not kinds or kind in kinds else None
            files.state = "succeeded"
            return None

        files.before = before

    return begin


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_wait_goes_on_when_the_service_answers_again(files, run, away, said, fault):
    """It says for what it waits, and that that is over."""
    away(fault, 60)
    run.wait()

    assert [line.partition(":")[0] for line in said] == [
        "Waiting up to 300 s for the service, which does not answer",
        "The service answers again",
        "Job state",
    ]


@pytest.mark.parametrize("kind", ["job", "list", "file"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_stream_goes_on_where_it_was(files, run, away, fault, kind):
    """Whatever it asked for."""
    files.contents["stdout.txt"] = b"one\ntwo"
    lines = run.stream("stdout.txt")
    assert next(lines) == "one"
    files.contents["stdout.txt"] += b"\nthree\n"
    away(fault, 60, kind)

    assert list(lines) == ["two", "three"]


def test_the_first_look_of_a_stream_may_find_the_service_away(files, run, away, said):
    """Nothing was heard of the job before."""
    files.contents["stdout.txt"] = b"one\n"
    away(RESET, 60)

    assert list(run.stream()) == ["one"]
    assert said.count("The service answers again") == 1


def test_after_five_minutes_it_is_an_error_that_says_what_to_do(files, run, away, clock):
    """The job goes on."""
    away(RESET, 301)
    with pytest.raises(RequestError) as raised:
        run.wait()

    assert 300 <= clock.now < 310
    assert "Failed to get job j: " in str(raised.value)
    assert "has not answered for 300 s, and job j may go on without it" in str(raised.value)
    assert "Pacing(outage=SECONDS) waits longer" in str(raised.value)


@pytest.mark.parametrize(("outage", "asked"), [(0.0, 4), (10.0, None)])
def test_the_limit_is_the_users(files, run, away, clock, outage, asked):
    """None at all leaves what the clients try."""
    run = JobRun(
        run._connection, run._place, report=str, pacing=evolve(clock.pacing(), outage=outage)
    )
    count = []
    away(RESET, 301)
    refuse = files.before
    files.before = lambda kind, name: count.append(kind) or refuse(kind, name)
    with pytest.raises(RequestError, match=f"has not answered for {outage:.0f} s"):
        list(run.stream())

    assert clock.now <= outage + 2
    assert asked is None or len(count) == asked


def test_a_timeout_that_ends_before_is_one(files, run, away, clock):
    """As where the service answers."""
    away(RESET, 301)
    with pytest.raises(WaitTimeoutError, match="job j was not heard of within 5 s and may go on"):
        run.wait(timeout=5)
    assert clock.now < 10


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_a_refusal_is_no_outage(files, run, clock, status):
    """Waiting would not change it."""
    files.before = lambda kind, name: (status, {"Content-Type": "application/json"}, "{}")
    with pytest.raises(RequestError):
        run.wait()
    assert clock.now == 0


def test_a_token_that_cannot_be_had_is_an_outage_too(endpoint, run, clock, waits):
    """The place that gives them is often the very service."""
    endpoint.on("GET", "/jobs/j", {"properties": {"executionState": "succeeded"}})
    token = (200, {"Content-Type": "application/json"}, '{"access_token": "t", "expires_in": 60}')
    endpoint.raw("POST", "/token", *[RESET] * 40, token)

    run.wait()
    assert clock.now > 0
