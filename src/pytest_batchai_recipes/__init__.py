"""The pytest plugin of batchai_recipes: an embedded service, a connection and a share for tests.

A package of its own, since pytest loads it at each start wherever the library is installed:
importing it imports nothing of the library, which is loaded by the first test that uses a fixture.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from batchai_recipes import Connection
    from batchai_recipes.testing import BatchAIService, FileShare


@pytest.fixture(scope="session")
def batchai_service(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[BatchAIService]":
    """An embedded service for all tests; with pytest-xdist one for each worker."""
    from batchai_recipes.testing import BatchAIService  # noqa: PLC0415 - loaded on first use

    with BatchAIService(tmp_path_factory.mktemp("batchai")) as service:
        yield service


@pytest.fixture
def batchai_connection(
    batchai_service: "BatchAIService", monkeypatch: pytest.MonkeyPatch
) -> "Iterator[Connection]":
    """A connection of one test; resource groups and shares that the test makes go after it.

    Sessions without a connection, and programs that the test starts, use the same service: the
    environment says so during the test.
    """
    for name, value in batchai_service.environment.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    with batchai_service.fresh() as connection:
        yield connection


@pytest.fixture
def file_share(
    batchai_service: "BatchAIService",
    batchai_connection: "Connection",  # noqa: ARG001 - asked for its environment
) -> "Iterator[FileShare]":
    """An empty file share of one test, deleted after it."""
    with batchai_service.file_share() as share:
        yield share
