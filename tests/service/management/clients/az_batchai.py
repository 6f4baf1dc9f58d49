"""The Azure CLI of 2018, its `az batchai` commands through every resource.

Run by an interpreter that has azure-cli 2.0.46 and azure-cli-batchai 0.4; prints what it saw as
JSON. ``AZURE_CONFIG_DIR`` must be an empty folder.
"""

import io
import json
import os
import sys
from pathlib import Path

from azure.cli.core import get_default_cli

USER = ["-u", "demo", "-p", "pass-word"]
CLUSTER = ["-s", "STANDARD_NC6", "-t", "0", "--afs-name", "share", *USER]
SERVER = [
    "-s",
    "STANDARD_D1",
    "--storage-sku",
    "Standard_LRS",
    "--disk-count",
    "2",
    "--disk-size",
    "10",
    *USER,
]
JOB = {
    "properties": {
        "nodeCount": 1,
        "customToolkitSettings": {"commandLine": "true"},
        "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/afs",
        "secrets": [{"name": "TOKEN", "value": "hush"}],
    }
}


def _az(*words):
    """Run a command; return what it answers."""
    out = io.StringIO()
    code = get_default_cli().invoke([*words, "-o", "json"], out_file=out)
    if code:
        raise SystemExit("az {} ended with {}".format(" ".join(words), code))
    text = out.getvalue()
    return json.loads(text) if text.strip() else None


def _sign_in(service):
    base = service["base"]
    graph = "https://graph.windows.net/"
    resource = "https://management.core.windows.net/"
    _az(
        *("cloud", "register", "-n", "local"),
        *("--endpoint-resource-manager", base, "--endpoint-management", base),
        *("--endpoint-active-directory", base + "/adfs"),
        *("--endpoint-active-directory-resource-id", resource),
        *("--endpoint-active-directory-graph-resource-id", graph),
        *("--suffix-storage-endpoint", "core.windows.net"),
    )
    _az("cloud", "set", "-n", "local")
    return _az(
        *("login", "--service-principal", "-u", service["client"], "-p", service["secret"]),
        *("--tenant", service["tenant"]),
    )


def _names(entries):
    return [entry["name"] for entry in entries]


def _resources(service, seen):
    group = ["-g", service["group"]]
    place = [*group, "-w", "ws"]
    storage = [
        *("--storage-account-name", service["account"]),
        *("--storage-account-key", service["account_key"]),
    ]
    made = _az("batchai", "workspace", "create", *group, "-n", "ws", "-l", "northeurope")
    seen["workspace"] = [
        made["provisioningState"],
        _az("batchai", "workspace", "show", *group, "-n", "ws")["name"],
        _names(_az("batchai", "workspace", "list", *group)),
    ]
    made = _az("batchai", "cluster", "create", *place, "-n", "c", *CLUSTER, *storage)
    resized = _az("batchai", "cluster", "resize", *place, "-n", "c", "-t", "1")
    seen["cluster"] = [
        made["userAccountSettings"]["adminUserPassword"],
        made["nodeSetup"]["mountVolumes"]["azureFileShares"][0]["relativeMountPath"],
        resized["scaleSettings"]["manual"]["targetNodeCount"],
        _az("batchai", "cluster", "show", *place, "-n", "c")["allocationState"],
        _names(_az("batchai", "cluster", "list", *place)),
        [node["port"] for node in _az("batchai", "cluster", "node", "list", *place, "-c", "c")],
    ]
    made = _az("batchai", "file-server", "create", *place, "-n", "fs", *SERVER)
    seen["file server"] = [
        made["dataDisks"]["diskCount"],
        _names(_az("batchai", "file-server", "list", *place)),
    ]


def _job(service, seen):
    place = ["-g", service["group"], "-w", "ws"]
    made = _az("batchai", "experiment", "create", *place, "-n", "e")
    seen["experiment"] = [made["name"], _names(_az("batchai", "experiment", "list", *place))]
    description = Path(os.environ["AZURE_CONFIG_DIR"], "job.json")
    description.write_text(json.dumps(JOB), encoding="utf-8")
    place += ["-e", "e"]
    made = _az("batchai", "job", "create", *place, "-n", "j", "-c", "c", "-f", str(description))
    _az("batchai", "job", "terminate", *place, "-n", "j", "-y")
    ended = _az("batchai", "job", "show", *place, "-n", "j")
    seen["job"] = [
        made["secrets"],
        ended["executionState"],
        ended["executionInfo"]["errors"][0]["code"],
        _names(_az("batchai", "job", "list", *place)),
        _az("batchai", "job", "file", "list", *place, "-j", "j", "-d", "stdouterr"),
        _az("batchai", "job", "node", "list", *place, "-j", "j"),
    ]


def _delete(service, seen):
    place = ["-g", service["group"], "-w", "ws"]
    _az("batchai", "job", "delete", *place, "-e", "e", "-n", "j", "-y")
    _az("batchai", "experiment", "delete", *place, "-n", "e", "-y")
    _az("batchai", "cluster", "delete", *place, "-n", "c", "-y")
    _az("batchai", "file-server", "delete", *place, "-n", "fs", "-y")
    seen["left"] = [
        _az("batchai", kind, "list", *place) for kind in ("cluster", "experiment", "file-server")
    ]
    _az("batchai", "workspace", "delete", "-g", service["group"], "-n", "ws", "-y")
    seen["left"].append(_az("batchai", "workspace", "list", "-g", service["group"]))


def main():
    """Use the service that the environment describes."""
    service = json.loads(os.environ["SERVICE"])
    seen = {}
    if sys.argv[1:] == ["login"]:
        # A process keeps the cloud that it began with, as a command of its own does.
        json.dump([one["id"] for one in _sign_in(service)], sys.stdout)
        return
    _resources(service, seen)
    _job(service, seen)
    usages = _az("batchai", "list-usages", "-l", "northeurope")
    seen["usages"] = usages[0]["name"]["value"]
    _delete(service, seen)
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
