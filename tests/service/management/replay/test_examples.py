"""The contract's own examples, asked of this service: status, and names and types of properties."""

import json

import pytest

GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
WORKSPACE = GROUP + "/providers/Microsoft.BatchAI/workspaces/{workspaceName}"
# What this service, which has no network, cannot truthfully show; and a file server that no example
# makes.
ABSENT = {"subnet", "fileServerPublicIP", "fileServerInternalIP", "fileServers"}
# Slips of the examples' authors; and names that a storage account cannot have.
CORRECTIONS = {
    "Microsoft.BatchAI/workspace/": "Microsoft.BatchAI/workspaces/",
    "demo_experimnet": "demo_experiment",
    "storage_account_name": "exampleaccount",
    "azure_file_share_name": "share",
}


def _operation(specs, example: str) -> tuple:
    """Return the method and path template of the operation that an example is of."""
    contract = json.loads((specs / "BatchAI-2018-05-01.json").read_text(encoding="utf-8"))
    for path, methods in contract["paths"].items():
        for method, operation in methods.items():
            for link in operation.get("x-ms-examples", {}).values():
                if link["$ref"].rpartition("/")[2] == f"{example}.json":
                    return method.upper(), path
    raise AssertionError(f"no operation has the example {example}")


def _example(live, specs, name: str) -> dict:
    text = live.here((specs / "swagger-examples" / f"{name}.json").read_text(encoding="utf-8"))
    for slip, correction in CORRECTIONS.items():
        text = text.replace(slip, correction)
    return _supported(json.loads(text))


def _supported(value: object) -> object:
    """Leave out what this service refuses to take."""
    if isinstance(value, dict):
        return {key: _supported(inner) for key, inner in value.items() if key not in ABSENT}
    return [_supported(item) for item in value] if isinstance(value, list) else value


def _settled(differences: list) -> list:
    """Return what counts of the differences from an example, whose values are made up."""
    # The examples' jobs have begun to run.
    missing = [line for line in differences if line.endswith("is missing")]
    return [line for line in missing if not line.endswith(".executionInfo is missing")]


@pytest.mark.parametrize(
    "example",
    [
        "PutWorkspace",
        "GetWorkspace",
        "ListWorkspace",
        "ListWorkspaceByResourceGroup",
        "PatchWorkspace",
        "PutExperiment",
        "GetExperiment",
        "ListExperimentByWorkspace",
        "PutCluster",
        "GetCluster",
        "ListClusterByWorkspace",
        "PatchCluster",
        "ClusterListRemoteLoginInfo",
        "PutFileServer",
        "GetFileServer",
        "ListFileServerByWorkspace",
        "PutJob",
        "GetJob",
        "ListJobByExperiment",
        "JobListRemoteLoginInfo",
        "ListOutputFiles",
        "TerminateJob",
        "ListUsages",
        "ListOperation",
        "DeleteJob",
        "DeleteFileServer",
        "DeleteCluster",
        "DeleteExperiment",
        "DeleteWorkspace",
    ],
)
def test_an_example_is_answered_as_the_contract_says(live, specs, compare, example) -> None:
    """Each example's request gets one of its statuses and every property of its answer."""
    method, path = _operation(specs, example)
    document = _example(live, specs, example)
    parameters = document["parameters"]
    if example == "PutWorkspace":
        live.made(GROUP.format_map(parameters), {"location": "eastus"}, "2017-05-10")
    query = "&".join(
        f"{name}={value}"
        for name, value in parameters.items()
        if f"{{{name}}}" not in path and name != "parameters"
    )
    answer = live.ask(method, path.format_map(parameters), query, parameters.get("parameters"))
    assert str(answer.status_code) in document["responses"], answer.text
    expected = document["responses"][str(answer.status_code)].get("body")
    if expected is not None:
        assert _settled(compare(expected, answer.json(), states=False)) == []
