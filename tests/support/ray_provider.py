"""Machines for Ray's autoscaler: each is a `ray start` beside the head, which runs this."""

import os
import subprocess
import sys

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.tags import (
    NODE_KIND_WORKER,
    STATUS_UP_TO_DATE,
    TAG_RAY_NODE_KIND,
    TAG_RAY_NODE_NAME,
    TAG_RAY_NODE_STATUS,
    TAG_RAY_USER_NODE_TYPE,
)


class Machines(FakeMultiNodeProvider):
    """Ray's own provider of pretended machines, which offers no memory, but for how they start."""

    def _create_node_with_resources_and_labels(self, node_config, tags, count, resources, labels):
        with self.lock:
            node_id = self._next_hex_node_id()
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
                    *("--address", self._gcs_address, "--disable-usage-stats"),
                    *("--num-cpus", str(resources["CPU"]), "--memory", str(resources["memory"])),
                    *("--object-store-memory", "80000000"),
                    # Those that start at once would else take each other's sockets.
                    *("--temp-dir", f"{self.provider_config['folder']}/{node_id[-5:]}"),
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={
                    **os.environ,
                    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": node_id,
                    "RAY_CLOUD_INSTANCE_ID": node_id,
                    "RAY_NODE_TYPE_NAME": tags[TAG_RAY_USER_NODE_TYPE],
                },
            )
            self._nodes[node_id] = {
                "process": process,
                "tags": {
                    TAG_RAY_NODE_KIND: NODE_KIND_WORKER,
                    TAG_RAY_NODE_NAME: node_id,
                    TAG_RAY_NODE_STATUS: STATUS_UP_TO_DATE,
                    **tags,
                },
            }

    def _terminate_node(self, node):
        node["process"].terminate()
        node["process"].wait()
