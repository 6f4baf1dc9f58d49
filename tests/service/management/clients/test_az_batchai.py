"""The Azure CLI of 2018 with its `az batchai` commands, in an interpreter of its own."""

import os
from pathlib import Path

import pytest

VARIABLE = "BATCHAI_AZ_PYTHON"


@pytest.mark.slow
def test_the_old_azure_cli_goes_through_every_resource(outsider, plane, tmp_path) -> None:
    """It registers the service as a cloud, signs in, and makes, shows, lists and deletes."""
    python = os.environ.get(VARIABLE)
    if not python:
        pytest.skip(f"{VARIABLE} names no Python that has azure-cli 2.0 with azure-cli-batchai 0.4")
    command = (python, "-W", "ignore", Path(__file__).with_name("az_batchai.py"))
    environment = {
        "AZURE_CONFIG_DIR": str(tmp_path),
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "REQUESTS_CA_BUNDLE": plane.ca_file,
        "HOME": str(tmp_path),
    }
    assert outsider(*command, "login", **environment) == [plane.subscription]
    secret = {"name": "TOKEN", "value": None, "valueSecretReference": None}
    assert outsider(*command, **environment) == {
        "workspace": ["succeeded", "ws", ["ws"]],
        "cluster": [None, "afs", 1, "steady", ["c"], [22]],
        "file server": [2, ["fs"]],
        "experiment": ["e", ["e"]],
        "job": [[secret], "failed", "JobTerminated", ["j"], [], []],
        "usages": "Clusters",
        "left": [[], [], [], []],
    }
