"""The tests of services that are away, on the asynchronous twin."""

from twin_face import on_twin

LEFT_OUT = {
    "test_the_limit_is_the_users": "it makes a run of the synchronous half by itself",
}
globals().update(on_twin("unit.runs.conftest", "unit.runs.test_outages", left_out=LEFT_OUT))
