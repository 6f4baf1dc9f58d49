"""Tests that use the plugin's fixtures."""

from batchai_recipes import Connection
from batchai_recipes.testing import BatchAIService, FileShare, VirtualClock


def test_types(
    batchai_service: BatchAIService, batchai_connection: Connection, file_share: FileShare
) -> None:
    """The fixtures are of these types."""
    assert batchai_service.settings.endpoint == batchai_connection.settings.endpoint
    file_share.write("hello.txt", b"hello")
    assert file_share.read("hello.txt") == b"hello"
    VirtualClock().sleep(1.0)
