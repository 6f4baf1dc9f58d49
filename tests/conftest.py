"""What holds for all tests."""

import signal

import pytest
from forked_programs import ForkedPrograms
from hypothesis import settings

# A busy machine is slow now and then; that is no failure.
# The fixture of a Ray cluster, for the tests of several folders.
pytest_plugins = ["ray_cluster"]
# What Ray's autoscaler loads; pytest would load it to look for doctests, also without Ray.
collect_ignore = ["support/ray_provider.py"]

# Where steps run in greenlets: the asynchronous twin, and its page.
FIBERS = (
    *("tests/unit/aio/", "tests/end_to_end/test_aio", "src/batchai_recipes/aio/"),
    "tests/documents/test_pages.py::test_the_blocks_of_a_page_do_what_it_shows[docs/async.md]",
)

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items):
    """Mark the tests that coverage measures in a run of their own."""
    for item in items:
        if any(place in item.nodeid for place in FIBERS):
            item.add_marker("fibers")


@pytest.fixture(autouse=True)
def signals_of_a_terminal():
    """Programs that a test starts can be interrupted, however the tests were started.

    A shell leaves SIGINT ignored in what it starts in the background, and a program inherits that.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def forked():
    """Start programs that have the commands, the Azure clients and the service loaded."""
    programs = ForkedPrograms()
    yield programs
    programs.close()
