"""@azure/storage-file-share, Azure's client for Node programs."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

VARIABLE = "BATCHAI_NODE_MODULES"


def test_a_node_program_uses_a_share(server):
    """Everything that it does often, and what it is refused."""
    modules = os.environ.get(VARIABLE, "")
    if not Path(modules, "@azure/storage-file-share").is_dir() or shutil.which("node") is None:
        pytest.skip(
            f"{VARIABLE} names no folder with @azure/storage-file-share, or there is no node"
        )
    program = Path(__file__).with_name("file_share_node.js")
    done = subprocess.run(
        ["node", program, server.base, server.account.name, server.account.key1],
        env={**os.environ, "NODE_PATH": modules},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    size = 9 * 2**20
    assert json.loads(done.stdout) == {
        "quota": 7,
        "metadata": {"of": "node"},
        "same": True,
        "type": "text/x-node",
        "kind": {"kind": "big"},  # Node knows names of headers in lower case only
        "part": "01234",
        "ranges": [{"start": 0, "end": size - 1}],
        "cleared": [{"start": 4096, "end": size - 1}],
        "size": 5,
        "listed": [["file", "f+\u00fc%.txt"]],
        "pages": [2, 2],
        "leased": "LeaseIdMissing",
        "old": 5,
        "snapshots": [["fromnode", True], ["fromnode", False]],
        "gone": "ResourceNotFound",
        "has": "ShareHasSnapshots",
        "copied": 5,
        "guest": "text/by-sas",
        "refused": "AuthorizationPermissionMismatch",
        "stranger": "AuthenticationFailed",
        "policies": ["p"],
        "cors": 1,
        "usage": True,
        "left": [],
    }
