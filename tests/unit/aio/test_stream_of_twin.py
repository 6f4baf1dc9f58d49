"""The tests of runs, on the asynchronous twin."""

from twin_face import on_twin

LEFT_OUT = {"test_a_token_that_runs_out_is_renewed": "see the test of that name in the faults'"}
globals().update(on_twin("unit.runs.conftest", "unit.runs.test_stream", left_out=LEFT_OUT))
