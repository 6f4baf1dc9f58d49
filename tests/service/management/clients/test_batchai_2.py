"""azure-mgmt-batchai 2.0, the client of Batch AI's own time, in an interpreter of its own."""

import os
from pathlib import Path

import pytest

VARIABLE = "BATCHAI_CLIENT_2_PYTHON"


def test_the_client_of_2018_goes_through_every_resource(outsider) -> None:
    """Create, get, list, update and delete of each resource, with adal's tokens."""
    python = os.environ.get(VARIABLE)
    if not python:
        pytest.skip(f"{VARIABLE} names no Python that has azure-mgmt-batchai 2.0 and msrestazure")
    program = Path(__file__).with_name("batchai_2.py")
    assert outsider(python, "-W", "ignore", program) == {
        "workspace": ["succeeded", {"a": "b"}, {"a": "b"}, ["workspace"], True],
        "cluster": ["steady", None, 1, 1, ["cluster"], [22]],
        "file server": [2, "server", ["server"]],
        "experiment": ["experiment", "experiment", ["experiment"]],
        "job": [None, "failed", "JobTerminated", ["job"], []],
        "usages": ["Clusters"],
        "operations": True,
        "gone": [404, 404, 404, 404, 404],
    }
