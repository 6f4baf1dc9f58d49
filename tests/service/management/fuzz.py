"""Asks a whole service everything that the contract allows, by schemathesis; `make fuzz` runs it.

No answer may be a 5xx, and none may lie outside of the contract's schema.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import requests
from attrs import frozen

from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.app import Service, ServiceOptions
from batchai_recipes.service.state_directory import StateDirectory

GROUP = "group"
# Names that are there, and a few that are not, so that both kinds of answers are seen.
NAMES = {
    "ResourceGroupNameParameter": [GROUP],
    "WorkspaceNameParameter": ["workspace", "other"],
    "ExperimentNameParameter": ["experiment", "other"],
    "ClusterNameParameter": ["cluster", "other"],
    "FileServerNameParameter": ["server", "other"],
    "JobNameParameter": ["job", "other"],
    "ApiVersionParameter": ["2018-05-01"],
}
USER = {"adminUserName": "demo"}


@frozen
class Options:
    """What the command line says."""

    schemathesis: Path
    contract: Path
    examples: int
    seed: int


def _options() -> Options:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schemathesis", type=Path, required=True)
    parser.add_argument("--contract", type=Path, required=True)
    parser.add_argument("--examples", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    return Options(**vars(parser.parse_args()))


def _token(session: requests.Session, address: ServiceAddress) -> str:
    answer = session.post(
        f"{address.endpoint}/{address.tenant_id}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": address.client_id,
            "client_secret": address.client_secret,
            "scope": "https://management.azure.com/.default",
        },
        timeout=30,
    )
    return answer.json()["access_token"]


def _make_resources(session: requests.Session, address: ServiceAddress) -> None:
    group = f"/subscriptions/{address.subscription_id}/resourceGroups/{GROUP}"
    workspace = f"{group}/providers/Microsoft.BatchAI/workspaces/workspace"
    cluster = {
        "vmSize": "STANDARD_NC6",
        "scaleSettings": {"manual": {"targetNodeCount": 0}},
        "userAccountSettings": USER,
    }
    server = {
        "vmSize": "STANDARD_NC6",
        "sshConfiguration": {"userAccountSettings": USER},
        "dataDisks": {"diskSizeInGB": 1, "diskCount": 1, "storageAccountType": "Standard_LRS"},
    }
    job = {
        "cluster": {"id": f"{workspace}/clusters/cluster"},
        "nodeCount": 1,
        "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/afs",
        "customToolkitSettings": {"commandLine": "true"},
    }
    for path, body in (
        (group, {"location": "northeurope"}),
        (workspace, {"location": "northeurope"}),
        (f"{workspace}/experiments/experiment", None),
        (f"{workspace}/clusters/cluster", {"properties": cluster}),
        (f"{workspace}/fileServers/server", {"properties": server}),
        (f"{workspace}/experiments/experiment/jobs/job", {"properties": job}),
    ):
        answer = session.put(
            address.endpoint + path, params={"api-version": "2018-05-01"}, json=body, timeout=30
        )
        answer.raise_for_status()


def _narrowed(contract: Path, address: ServiceAddress) -> str:
    """Return the contract with names that lead somewhere."""
    document = json.loads(contract.read_text(encoding="utf-8"))
    names = {**NAMES, "SubscriptionIdParameter": [address.subscription_id]}
    for parameter, words in names.items():
        document["parameters"][parameter]["enum"] = words
        document["parameters"][parameter].pop("format", None)
    return json.dumps(document)


def _fuzz(options: Options, folder: Path, address: ServiceAddress) -> int:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = address.ca_file
        token = _token(session, address)
        session.headers["Authorization"] = f"Bearer {token}"
        _make_resources(session, address)
    contract = folder / "contract.json"
    contract.write_text(_narrowed(options.contract, address), encoding="utf-8")
    command = [
        *(str(options.schemathesis.absolute()), "run", str(contract), "--no-color"),
        *("--url", address.endpoint, "--tls-verify", address.ca_file),
        *("--header", f"Authorization: Bearer {token}"),
        *("--phases", "examples,coverage,fuzzing", "--continue-on-failure"),
        *("--checks", "not_a_server_error,response_schema_conformance"),
        *("--max-examples", str(options.examples), "--seed", str(options.seed)),
    ]
    return subprocess.run(command, cwd=folder, check=False).returncode


def main() -> int:
    """Run a service, ask it, and return what schemathesis returns."""
    options = _options()
    if not options.contract.is_file():
        print(f"NOT RUN: the contract is not at {options.contract}", file=sys.stderr)  # noqa: T201  # a command's own words
        return 0
    with tempfile.TemporaryDirectory() as folder:
        state = StateDirectory(Path(folder) / "state")
        state.create()
        service = Service(ServiceOptions(state=state))
        address = service.start()
        try:
            return _fuzz(options, Path(folder), address)
        finally:
            service.stop()


if __name__ == "__main__":
    sys.exit(main())
