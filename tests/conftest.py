"""What holds for all tests."""

import signal

import pytest
from hypothesis import settings

# A busy machine is slow now and then; that is no failure.
# The fixture of a Ray cluster, for the tests of several folders.
pytest_plugins = ["ray_cluster"]
# What Ray's autoscaler loads; pytest would load it to look for doctests, also without Ray.
collect_ignore = ["support/ray_provider.py"]

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def signals_of_a_terminal():
    """Programs that a test starts can be interrupted, however the tests were started.

    A shell leaves SIGINT ignored in what it starts in the background, and a program inherits that.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
