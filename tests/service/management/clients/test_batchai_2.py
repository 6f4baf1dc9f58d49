"""azure-mgmt-batchai 2.0, the client of Batch AI's own time, in an interpreter of its own."""

import json
import os
import subprocess
from pathlib import Path

import pytest

VARIABLE = "BATCHAI_CLIENT_2_PYTHON"


def test_the_client_of_2018_goes_through_every_resource(plane, group) -> None:
    """Create, get, list, update and delete of each resource, with adal's tokens."""
    python = os.environ.get(VARIABLE)
    if not python:
        pytest.skip(f"{VARIABLE} names no Python that has azure-mgmt-batchai 2.0 and msrestazure")
    service = {
        "base": plane.base,
        "ca_file": plane.ca_file,
        "client": plane.client,
        "secret": plane.secret,
        "subscription": plane.subscription,
        "group": group.rpartition("/")[2],
    }
    ended = subprocess.run(
        [python, "-W", "ignore", Path(__file__).with_name("batchai_2.py")],
        # PYTHONPATH would mix this project's packages into the other interpreter's.
        env={"SERVICE": json.dumps(service), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "workspace": ["succeeded", {"a": "b"}, {"a": "b"}, ["workspace"], True],
        "cluster": ["steady", None, 1, 1, ["cluster"], []],
        "file server": [2, "server", ["server"]],
        "experiment": ["experiment", "experiment", ["experiment"]],
        "job": [None, "failed", "JobTerminated", ["job"], []],
        "usages": ["Clusters"],
        "operations": True,
        "gone": [404, 404, 404, 404, 404],
    }
