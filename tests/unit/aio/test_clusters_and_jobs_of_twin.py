"""The tests of sessions, on the asynchronous twin."""

from twin_face import on_twin

LEFT_OUT = {
    "test_sessions_of_several_threads_do_not_disturb_each_other": "one loop is one thread's"
}
globals().update(
    on_twin("unit.session.conftest", "unit.session.test_clusters_and_jobs", left_out=LEFT_OUT)
)
