"""What holds for all tests."""

from hypothesis import settings

# A busy machine is slow now and then; that is no failure.
# The fixture of a Ray cluster, for the tests of several folders.
pytest_plugins = ["ray_cluster"]

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
