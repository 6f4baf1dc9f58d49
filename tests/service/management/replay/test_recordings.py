"""Whole conversations with the real service of 2018, held again with this one."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from attrs import define, field

SCENARIOS = (
    "cli__test_batchai_job_level_mounting_scenario__2018-06-07",
    "cli__test_batchai_manual_scale_scenario__2018-06-07",
    "cli__test_batchai_usages__2018-06-07",
    "sdk__test_mgmt_batchai_clusters.test_cluster_resizing",
    "sdk__test_mgmt_batchai_experiments.test_creation_and_deletion",
    "sdk__test_mgmt_batchai_file_servers.test_file_server",
    "sdk__test_mgmt_batchai_jobs.test_failed_job_reporting",
    "sdk__test_mgmt_batchai_jobs.test_job_creation_and_deletion",
    "sdk__test_mgmt_batchai_jobs.test_job_environment_variables_and_secrets",
    "sdk__test_mgmt_batchai_jobs.test_job_host_preparation_failure_reporting",
    "sdk__test_mgmt_batchai_jobs.test_queued_job_termination",
    "sdk__test_mgmt_batchai_workspaces.test_creation_and_deletion",
)
# Azure's Storage and resource groups have far more properties than this service records; what it
# shows of them must still be spelt as recorded.
FEWER = {"storage-mgmt"}
HEADERS = ("etag", "last-modified", "azure-asyncoperation", "location")
NOBODY = "00000000-0000-0000-0000-000000000000"
STATE_OF_ALL = ".value[0].properties.provisioningState"
PASSING = {"resizing", "queued", "running", "InProgress"}
# This service has no virtual network, and its file servers have no addresses in one.
NO_NETWORK = ("subnet", "fileServerPublicIP", "fileServerInternalIP")


def _without_other_volumes(document: object) -> object:
    """Leave out the containers, which no blob service is there for, and all of networks."""
    if isinstance(document, list):
        return [_without_other_volumes(item) for item in document]
    if not isinstance(document, dict):
        return document
    dropped = {"azureBlobFileSystems", *NO_NETWORK}
    return {
        key: _without_other_volumes(value) for key, value in document.items() if key not in dropped
    }


def _readable(text: str) -> object:
    document = json.loads(text)
    # What those volumes were for goes to the file share instead.
    moved = re.sub(r"(MOUNT_ROOT)/bfs", r"\1/afs", json.dumps(document["body"]))
    return _without_other_volumes(json.loads(moved))


@define
class Conversation:
    """One scenario and what has been learnt in it: keys, operation addresses, download links."""

    live: object
    compare: object
    patience: object
    key: str = ""
    operations: dict = field(factory=dict)
    links: dict = field(factory=dict)

    def hold(self, exchange: dict) -> list:
        """Ask one thing, and tell how the answer differs from the recorded one."""
        if exchange["kind"] == "storage-data":
            return self._download(exchange) if exchange["method"] == "GET" else []
        again = exchange["method"] == "GET" and not _passing(exchange["response_body"])
        if again:
            return self.patience.until(lambda: self._ask(exchange))
        return self._ask(exchange)

    def _ask(self, exchange: dict) -> list:
        body = _readable(json.dumps({"body": exchange["request_body"]}))
        if body:
            body = json.loads(json.dumps(body).replace("REDACTED==", self.key))
        path = exchange["path"]
        for recorded, ours in self.operations.items():
            path = path.replace(recorded, ours)
        answer = self.live.ask(exchange["method"], path, exchange["query"], body)
        recorded = _readable(json.dumps({"body": exchange["response_body"]}))
        shown = answer.json() if answer.content else ""
        if answer.status_code != exchange["status"]:
            return [f"{answer.status_code} instead of {exchange['status']}: {answer.text}"]
        self._learn(exchange, answer, shown)
        lines = [
            f"the header {name} is {'missing' if name in exchange['response_headers'] else 'new'}"
            for name in HEADERS
            if (name in answer.headers) != (name in exchange["response_headers"])
            and exchange["kind"] == "batchai"
        ]
        passing = _passing(exchange["response_body"])
        lines += self.compare(recorded, shown, states=not passing and exchange["method"] == "GET")
        return [line for line in lines if not _is_expected(line, exchange, passing=passing)]

    def _learn(self, exchange: dict, answer: object, shown: object) -> None:
        recorded = exchange["response_headers"]
        for name in ("azure-asyncoperation", "location"):
            if name in recorded and name in answer.headers:
                old = urlsplit(recorded[name]).path.rpartition("/")[2]
                self.operations[old] = urlsplit(answer.headers[name]).path.rpartition("/")[2]
        if exchange["path"].endswith("/listKeys"):
            self.key = shown["keys"][0]["value"]
        if exchange["path"].endswith("/listOutputFiles"):
            self.links |= {one["name"]: one.get("downloadUrl") for one in shown["value"]}

    def _download(self, exchange: dict) -> list:
        name = exchange["path"].rpartition("/")[2]
        wanted = {name.lower(): value for name, value in exchange["request_headers"].items()}
        headers = {name: value for name, value in wanted.items() if name in {"range", "x-ms-range"}}
        answer = self.live.session.get(
            self.links[name], headers={**headers, "Authorization": None}, timeout=30
        )
        return (
            []
            if (answer.status_code, answer.text)
            == (
                exchange["status"],
                exchange["response_body"],
            )
            else [f"{name}: {answer.status_code} {answer.text!r}"]
        )


def _is_expected(line: str, exchange: dict, *, passing: bool) -> bool:
    """Tell whether a difference is one that there should be."""
    path = exchange["path"]
    reasons = {
        "our job has gone further than the recorded one": passing and "executionInfo" in line,
        "the families of VM sizes are not those of 2018": path.endswith("/usages")
        and ".name." in line,
        "an operation is called by its id": "/operationresults/" in path
        and line.startswith(".name "),
        "the list of a whole subscription begins with another test's workspace": path.endswith(
            f"{NOBODY}/providers/Microsoft.BatchAI/workspaces"
        )
        and (".name is" in line or STATE_OF_ALL in line),
        "later versions of the resources API show the type": exchange["kind"] == "arm-rg"
        and line == ".type is not in the recording",
        "nodes are others, on this machine": path.endswith("/listRemoteLoginInformation")
        and line.startswith((".value[0].ipAddress is", ".value[0].nodeId is", ".value[0].port is")),
        "the service has a few of an account's properties": exchange["kind"] in FEWER
        and line.endswith("is missing"),
    }
    return any(reasons.values())


def _passing(document: object) -> bool:
    """Tell whether a recorded answer shows something that is still going on."""
    if not isinstance(document, dict):
        return False
    properties = document.get("properties", {})
    shown = {document.get("status"), properties.get("allocationState")}
    return bool(PASSING & (shown | {properties.get("executionState")}))


def _exchanges(file: Path) -> list:
    """Return a scenario, with only the last of equal requests in a row."""
    exchanges = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    follows = [*exchanges[1:], None]
    return [
        one
        for one, after in zip(exchanges, follows, strict=True)
        if after is None
        or one["method"] != "GET"
        or (one["path"], one["query"]) != (after["path"], after["query"])
    ]


def _prepare(conversation: Conversation, exchanges: list, scenario: str) -> None:
    """Make what the scenario found there when it began."""
    live = conversation.live
    text = json.dumps(exchanges)
    first = next(one["path"] for one in exchanges if one["kind"] != "storage-data")
    match = re.match(r"/subscriptions/[^/]+/resourceGroups/[^/]+", first, re.IGNORECASE)
    if match is None or exchanges[0]["kind"] == "arm-rg":
        return
    group = match.group()
    live.made(group, {"location": "northeurope"}, "2017-05-10")
    account = re.search(r"https://(psdk[a-z0-9]+)\.file", text)
    if account is not None:
        conversation.key = live.account_key(group, account.group(1))
    workspace = f"{group}/providers/Microsoft.BatchAI/workspaces/workspace"
    if "/workspaces/workspace/" in text:
        live.made(workspace, {"location": "northeurope"})
    if "_jobs." in scenario:
        live.made(f"{workspace}/experiments/experiment")
        name = re.search(r"clusters/(cluster\w+)", text).group(1)
        share = {
            "accountName": account.group(1) if account else None,
            "azureFileUrl": f"https://{account.group(1)}.file.core.windows.net/share"
            if account
            else None,
            "credentials": {"accountKey": conversation.key},
            "relativeMountPath": "azfiles",
        }
        nodes = 0 if "queued" in scenario else 1
        properties = {
            "vmSize": "STANDARD_D1",
            "scaleSettings": {"manual": {"targetNodeCount": nodes}},
            "userAccountSettings": {"adminUserName": "demo"},
        }
        if account:
            properties["nodeSetup"] = {"mountVolumes": {"azureFileShares": [share]}}
        live.made(f"{workspace}/clusters/{name}", {"properties": properties})


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_recorded_scenario_goes_as_it_went(live, specs, compare, patience, scenario) -> None:
    """Every request of a scenario gets an answer of the recorded status and shape."""
    exchanges = _exchanges(specs / "recordings" / f"{scenario}.jsonl")
    conversation = Conversation(live, compare, patience)
    _prepare(conversation, exchanges, scenario)
    found = []
    for exchange in exchanges:
        lines = conversation.hold(exchange)
        if exchange["kind"] == "storage-mgmt" and exchange["path"].endswith("/listKeys"):
            account = exchange["path"].split("/")[-2]
            live.account_key(exchange["path"].split("/providers")[0], account)
        found += [f"{exchange['seq']} {exchange['method']} {exchange['path']}: {x}" for x in lines]
    last = exchanges[-1]
    if last["kind"] == "arm-rg":  # scenarios name their groups alike: let this one be gone
        gone = patience.until(
            lambda: [] if live.ask("GET", last["path"], last["query"]).status_code == 404 else [1]
        )
        assert gone == []
    assert not found, "\n".join(found)
