"""An engine over the tests' Ray cluster with a node that is there when it has started.

The tests of every engine name a node without having prepared it, which costs the local engine
nothing. This one prepares it, and gives it back with the last engine of the process.
"""

import os
import threading

from batchai_recipes.service.engines.ray.engine import RayEngine
from batchai_recipes.service.engines.ray.options import RayOptions

PATIENCE_SECONDS = 60.0


class PreparedRayEngine(RayEngine):
    """Has a node called ``node``."""

    def __init__(self, state, **options):
        ray = RayOptions(
            address=os.environ["BATCHAI_TEST_RAY_ADDRESS"],
            node_folder=os.environ["BATCHAI_TEST_RAY_FOLDER"],
        )
        super().__init__(state, ray, **options)

    def start(self, notify):
        """Start, and wait until the node is there."""
        changed = threading.Event()

        def hear(*owner):
            changed.set()
            notify(*owner)

        super().start(hear)
        while not self.prepare_node("node", ()):
            assert changed.wait(PATIENCE_SECONDS), "Ray made no node"
            changed.clear()

    def stop(self):
        """Give the node back and stop."""
        self.release_node("node")
        super().stop()
