"""Jobs as toolkits see them."""

import pytest

from batchai_recipes.service.engines.engine import Node
from batchai_recipes.service.toolkits.toolkit import ToolkitJob


@pytest.fixture
def toolkit_job():
    """Make a job: ``toolkit_job(nodes=2, gpus=1, pythonScriptFilePath="train.py")``."""

    def make(*, nodes=1, gpus=0, interface="", **settings):
        return ToolkitJob(
            settings,
            tuple(
                Node(f"10.0.0.{4 + index}", "/mounts", gpus, {}, interface)
                for index in range(nodes)
            ),
            "/opt/venv/bin/python",
            "/jobs/uid/shared",
            lambda node, count: tuple(20_000 + 100 * node + index for index in range(count)),
        )

    return make
