"""Jobs as toolkits see them."""

import pytest

from batchai_recipes.service.engines.engine import Node
from batchai_recipes.service.toolkits.toolkit import ToolkitJob


@pytest.fixture
def toolkit_job():
    """Make a job: ``toolkit_job(nodes=2, gpus=1, pythonScriptFilePath="train.py")``.

    Nodes have addresses of their own, or share ``address`` where it is given.
    """

    def make(*, nodes=1, gpus=0, interface="", address="", visible=(), **settings):
        return ToolkitJob(
            settings,
            tuple(
                Node(
                    address or f"10.0.0.{4 + index}",
                    "/mounts",
                    gpus,
                    {"CUDA_VISIBLE_DEVICES": visible[index]} if visible else {},
                    interface,
                )
                for index in range(nodes)
            ),
            tuple(
                {"AZ_BATCHAI_JOB_TEMP": f"/temp/it's {index}", "SAME": "secret"}
                for index in range(nodes)
            ),
            "/opt/venv/bin/python",
            "/jobs/uid/shared",
            lambda node, count: tuple(20_000 + 100 * node + index for index in range(count)),
        )

    return make
