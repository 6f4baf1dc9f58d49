"""The tests of files that appear whole, on the asynchronous twin."""

from twin_face import on_twin

globals().update(on_twin("unit.staging.test_drafts"))
