"""The tests of detached sessions, on the asynchronous twin."""

from twin_face import on_twin

globals().update(on_twin("unit.session.conftest", "unit.session.test_detached"))
