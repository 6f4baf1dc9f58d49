"""What the examples of the docstrings find: an embedded service of their own, and no settings."""

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest


@pytest.fixture(scope="session")
def state_directory(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the service of all examples keeps its state: not the user's."""
    return str(tmp_path_factory.mktemp("state"))


# Not for the session: tests that come later are told by variables where other clients are.
@pytest.fixture(autouse=True, scope="module")
def nothing_configured(state_directory: str) -> Iterator[None]:
    """Let examples connect as a new user does."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AZURE_", "BATCHAI_"))
    }
    plain["BATCHAI_RECIPES_STATE_DIR"] = state_directory
    with patch.dict(os.environ, plain, clear=True):
        yield
