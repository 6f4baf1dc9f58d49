"""The tests of faults, on the asynchronous twin."""

import time

from twin_face import on_twin

LEFT_OUT = {
    "test_a_token_that_runs_out_is_renewed": "the asynchronous credential gives one that is still "
    "good once more, if it was asked for less than 30 s ago; the test below lets time pass"
}
globals().update(on_twin("unit.test_faults", left_out=LEFT_OUT))


def test_a_token_that_has_run_out_is_renewed(batchai, run, monkeypatch):
    """Long before a wait of days ends."""
    passed, now = [0.0], time.time
    monkeypatch.setattr("time.time", lambda: now() + passed[0])
    token = {"access_token": "first", "expires_in": 60, "token_type": "Bearer"}
    batchai.on("POST", "/token", token, {**token, "access_token": "second", "expires_in": 3600})
    states = [{"properties": {"executionState": s}} for s in ("running", "running", "succeeded")]
    batchai.on("GET", "/jobs/j", *states)

    def before(path):
        passed[0] += 31 * path.endswith("/jobs/j")

    batchai.before = before
    run.wait()
    asked = [r.headers["Authorization"] for r in batchai.requests if "/jobs/j" in r.url]
    assert asked == ["Bearer first", "Bearer second", "Bearer second"]
