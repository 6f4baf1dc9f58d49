"""The service's log: a line per request, by its id, and never a secret."""

import json
import re
import subprocess
import sys

import requests

from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.credentials import Credentials
from batchai_recipes.settings import read_env_file

LINE = re.compile(r"time=\S+Z level=[A-Z]+ logger=\S+ (\w+=(\"([^\"\\]|\\.)*\"|\S+) ?)+")
SECRETS = {
    "environment": "hush-environment",
    "password": "hush-password",
    "registry": "hush-registry",
    "key": "aHVzaC1rZXk=",
}


def _job(cluster: str) -> dict:
    image = {
        "serverUrl": "registry.example",
        "image": "private",
        "credentials": {"username": "me", "password": SECRETS["registry"]},
    }
    return {
        "properties": {
            "cluster": {"id": cluster},
            "nodeCount": 1,
            "customToolkitSettings": {"commandLine": "true"},
            "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/afs",
            "secrets": [{"name": "TOKEN", "value": SECRETS["environment"]}],
            "containerSettings": {"imageSourceRegistry": image},
        }
    }


def _cluster() -> dict:
    share = {
        "accountName": "batchairecipes",
        "azureFileUrl": "https://batchairecipes.file.core.windows.net/share",
        "credentials": {"accountKey": SECRETS["key"]},
        "relativeMountPath": "afs",
    }
    user = {"adminUserName": "demo", "adminUserPassword": SECRETS["password"]}
    return {
        "properties": {
            "vmSize": "A_SIZE_THAT_IS_WARNED_OF",
            "scaleSettings": {"manual": {"targetNodeCount": 1}},
            "userAccountSettings": user,
            "nodeSetup": {"mountVolumes": {"azureFileShares": [share]}},
        }
    }


def _use(address: ServiceAddress, seen: list[str]) -> requests.Response:
    """Send every kind of secret, in good requests and in refused ones; return the last answer."""
    session = requests.Session()
    session.trust_env = False
    session.verify = address.ca_file

    def token(secret: str) -> requests.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": address.client_id,
            "client_secret": secret,
            "resource": "https://management.azure.com/",
        }
        url = f"{address.endpoint}/{address.tenant_id}/oauth2/token"
        return session.post(url, data=form, timeout=30)

    token("hush-guess")
    seen.append(token(address.client_secret).json()["access_token"])
    session.headers["Authorization"] = f"Bearer {seen[0]}"
    group = f"{address.endpoint}/subscriptions/{address.subscription_id}/resourceGroups/g"
    workspace = f"{group}/providers/Microsoft.BatchAI/workspaces/w"
    cluster = f"{workspace}/clusters/c"
    for path, body in (
        (group, {"location": "eastus"}),
        (workspace, {"location": "eastus"}),
        (f"{workspace}/experiments/e", None),
        (cluster, _cluster()),
        (f"{workspace}/experiments/e/jobs/j", _job(cluster.removeprefix(address.endpoint))),
        (f"{workspace}/experiments/e/jobs/bad", {"properties": {"secrets": SECRETS}}),
    ):
        params = {"api-version": "2018-05-01", "sig": "hush-signature"}
        session.put(path, json=body, params=params, timeout=30)
    files = f"{address.files_endpoint}/share/file?sv=2018-03-28&sig=hush-signature"
    session.get(files, timeout=30)
    session.headers["Authorization"] = "Bearer hush-token"
    answer = session.get(group, params={"api-version": "2018-05-01"}, timeout=30)
    session.close()
    return answer


def test_the_log_names_requests_and_no_secret(tmp_path, state):
    """At its most talkative, after good requests, refused ones and a stop."""
    env_file = tmp_path / "env"
    command = [
        *(sys.executable, "-m", "batchai_recipes.cli", "serve", "--log-level", "debug"),
        *("--state-dir", str(state.root), "--env-file", str(env_file)),
    ]
    tokens: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if line.startswith("Stop with"):
                break
        variables = read_env_file(env_file)
        credentials = Credentials.ensure(state)
        address = ServiceAddress.from_file(state.address)
        answer = _use(address, tokens)
        process.terminate()
        _, log = process.communicate()

    assert (process.returncode, answer.status_code) == (0, 401)
    lines = [line for line in log.splitlines() if line.startswith("time=")]
    [refused] = [line for line in lines if answer.headers["x-ms-request-id"] in line]
    assert "status=401" in refused
    assert all(LINE.fullmatch(line) for line in lines)
    assert len([line for line in lines if "method=PUT" in line]) == 6
    hidden = [*SECRETS.values(), "hush", *tokens, credentials.account_key]
    hidden += [credentials.client_secret, credentials.second_account_key]
    hidden.append(variables["AZURE_STORAGE_CONNECTION_STRING"])
    assert [secret for secret in hidden if secret in log] == []
    assert json.dumps(SECRETS["key"]) not in log
