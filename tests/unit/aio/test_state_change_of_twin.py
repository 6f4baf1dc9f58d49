"""The tests of runs, on the asynchronous twin."""

from twin_face import on_twin

globals().update(on_twin("unit.runs.conftest", "unit.runs.test_state_change"))
