"""Programs for other interpreters, and how they are run against the management plane."""

import json
import os
import subprocess
from collections.abc import Callable

import pytest

collect_ignore = ["batchai_2.py", "az_batchai.py"]


@pytest.fixture
def outsider(plane, group) -> Callable[..., dict]:
    """Runs a program that is told of the service and prints what it saw as JSON."""
    service = {
        "base": plane.base,
        "ca_file": plane.ca_file,
        "tenant": plane.tenant,
        "client": plane.client,
        "secret": plane.secret,
        "subscription": plane.subscription,
        "account": plane.account,
        "account_key": plane.account_key,
        "group": group.rpartition("/")[2],
    }

    def run(*command: object, **environment: str) -> dict:
        ended = subprocess.run(
            [str(part) for part in command],
            # PYTHONPATH would mix this project's packages into the other interpreter's.
            env={"SERVICE": json.dumps(service), "PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout)

    return run
