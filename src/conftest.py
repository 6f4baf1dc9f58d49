"""What the examples of the docstrings find: an embedded service of their own, and no settings."""

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest


@pytest.fixture(autouse=True, scope="session")
def nothing_configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let examples connect as a new user does, with a state directory that is not the user's."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AZURE_", "BATCHAI_"))
    }
    plain["BATCHAI_RECIPES_STATE_DIR"] = str(tmp_path_factory.mktemp("state"))
    with patch.dict(os.environ, plain, clear=True):
        yield
