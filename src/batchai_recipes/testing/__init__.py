"""What the tests of one's own programs need: a service, shares, a clock.

The fixtures ``batchai_service``, ``batchai_connection`` and ``file_share`` come with the pytest
plugin, which is there wherever this library is installed; these are the types behind them.
"""

from batchai_recipes.testing.batchai_service import BatchAIService
from batchai_recipes.testing.file_share import FileShare
from batchai_recipes.testing.virtual_clock import VirtualClock

__all__ = ["BatchAIService", "FileShare", "VirtualClock"]
