"""When a node without a service ends by itself."""

import pytest

from batchai_recipes.service.engines.ray.attendance import Attendance

MINUTE, HOUR = 60.0, 3600.0


class Alone:
    """A node that nobody follows, and a clock that is moved by hand."""

    def __init__(self, probe, *, sees_state):
        self.now = 5.0
        self.busy = False
        self.attendance = Attendance(
            probe,
            sees_state=sees_state,
            is_busy=lambda: self.busy,
            monotonic=lambda: self.now,
        )

    def after(self, seconds):
        """Judge after some time."""
        self.now += seconds
        return self.attendance.judge()


@pytest.fixture
def probe(tmp_path):
    """The file that tells the service from others."""
    path = tmp_path / "ray.json"
    path.write_text("service")
    return path


def test_a_node_waits_for_a_service_that_may_come_back(probe):
    """Its state is there: a killed service finds its nodes again, and what runs on them."""
    alone = Alone(probe, sees_state=True)
    alone.busy = True
    assert alone.after(1000 * HOUR) == "attended"


def test_a_node_of_a_deleted_state_ends(probe):
    """After some minutes, whatever runs on it."""
    alone = Alone(probe, sees_state=True)
    alone.busy = True
    probe.unlink()
    assert alone.after(9 * MINUTE) == "attended"
    assert alone.after(2 * MINUTE) == "deleted"


def test_a_node_that_is_followed_stays(probe):
    """Though it sees the state no more, as when a file system was unmounted."""
    alone = Alone(probe, sees_state=True)
    probe.unlink()
    with alone.attendance.asked():
        assert alone.after(HOUR) == "attended"
    assert alone.after(9 * MINUTE) == "attended"


def test_a_node_that_never_saw_the_state_ends_when_idle_for_a_day(probe):
    """It cannot know more; what runs on it is not interrupted."""
    alone = Alone(probe, sees_state=False)
    probe.unlink()
    alone.busy = True
    assert alone.after(23 * HOUR) == "attended"
    assert alone.after(2 * HOUR) == "attended"
    alone.busy = False
    assert alone.after(MINUTE) == "forgotten"


def test_a_file_system_that_fails_says_nothing(tmp_path):
    """Only a file that is not there is gone."""
    looped = tmp_path / "loop"
    looped.symlink_to("loop")
    assert Alone(looped / "ray.json", sees_state=True).after(HOUR) == "attended"
