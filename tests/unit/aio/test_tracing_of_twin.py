"""The tests of tracing, on the asynchronous twin."""

from twin_face import on_twin

globals().update(on_twin("unit.test_tracing"))
