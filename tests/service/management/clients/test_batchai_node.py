"""@azure/arm-batchai, the client of Node programs, with the tokens of MSAL and of adal-node."""

import os
import shutil
from pathlib import Path

import pytest

VARIABLE = "BATCHAI_NODE_MODULES"


def test_a_node_program_goes_through_every_resource(outsider, plane) -> None:
    """Create, get, list, update and delete of each resource."""
    modules = os.environ.get(VARIABLE)
    if not modules or shutil.which("node") is None:
        pytest.skip(
            f"{VARIABLE} names no folder that has @azure/arm-batchai, @azure/identity and "
            "@azure/ms-rest-nodeauth, or there is no node"
        )
    program = Path(__file__).with_name("batchai_node.js")
    environment = {"NODE_PATH": modules, "NODE_EXTRA_CA_CERTS": plane.ca_file}
    assert outsider("node", "--no-deprecation", program, **environment) == {
        "workspace": ["succeeded", {"a": "b"}, {"a": "b"}, ["workspace"], True],
        "cluster": ["steady", True, 1, 1, ["cluster"], 1],
        "file server": [2, "server", ["server"]],
        "experiment": ["experiment", "experiment", ["experiment"]],
        "job": [True, "failed", "JobTerminated", ["job"], 0],
        "adal": ["workspace"],
        "usages": "Clusters",
        "operations": True,
        "gone": [404, 404, 404, 404, 404],
    }
