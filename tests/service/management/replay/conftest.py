"""A whole service, and how its answers are compared with recorded ones."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from attrs import define, field, frozen
from azure.identity import ClientSecretCredential
from azure.storage.file import FileService

from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.app import Service, ServiceOptions
from batchai_recipes.service.state_directory import StateDirectory

NOBODY = "00000000-0000-0000-0000-000000000000"
_SPECS = Path(__file__).parents[5] / "shared" / "specs"
_TIMEOUT = 30

# What no two services agree on: ids, times and the host's own names.
_VOLATILE = {
    "id",
    "startTime",
    "endTime",
    "creationTime",
    "provisioningStateTransitionTime",
    "allocationStateTransitionTime",
    "executionStateTransitionTime",
    "lastModified",
    "contentLength",
    "downloadUrl",
    "jobOutputDirectoryPathSegment",
    "resourceId",
    "currentValue",
    "limit",
    "azureFileUrl",
    "mountPoint",
    "file",
    "value",
}
_STATES = {"provisioningState", "allocationState", "executionState", "currentNodeCount", "status"}
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?Z")


def differences(recorded: object, answered: object, at: str = "", *, states: bool = True) -> list:
    """Tell in what an answer differs from a recorded one: names, types and spellings."""
    name = re.split(r"[.\[]", at)[-1]
    if isinstance(recorded, dict) and isinstance(answered, dict):
        lines = [f"{at}.{gone} is missing" for gone in recorded.keys() - answered.keys()]
        lines += [f"{at}.{new} is not in the recording" for new in answered.keys() - recorded]
        for key in recorded.keys() & answered.keys():
            lines += differences(recorded[key], answered[key], f"{at}.{key}", states=states)
        return lines
    if isinstance(recorded, list) and isinstance(answered, list):
        if bool(recorded) != bool(answered):
            return [f"{at} has {len(answered)} items, recorded were {len(recorded)}"]
        pairs = zip(recorded, answered, strict=False)
        return [
            line
            for number, (one, other) in enumerate(pairs)
            for line in differences(one, other, f"{at}[{number}]", states=states)
        ]
    return (
        []
        if _alike(recorded, answered, name, states=states)
        else [f"{at} is {answered!r}, recorded was {recorded!r}"]
    )


def _alike(recorded: object, answered: object, name: str, *, states: bool) -> bool:
    """Tell whether two values are of one type, and equal where services should agree."""
    if type(recorded) is not type(answered):
        return False
    if isinstance(recorded, str) and _TIME.fullmatch(recorded):
        return _TIME.fullmatch(str(answered)) is not None
    counted = name.endswith("NodeCount") and name != "currentNodeCount"
    passing = name in _STATES and not states
    free = name == "message" or name in _VOLATILE
    return counted or passing or free or recorded == answered


@frozen
class Live:
    """A running service and a session that is signed in."""

    address: ServiceAddress
    session: requests.Session

    def here(self, text: str) -> str:
        """Return a recorded text with the subscription and the host of this service."""
        ours = text.replace(NOBODY, self.address.subscription_id)
        return ours.replace("https://management.azure.com", self.address.endpoint)

    def ask(
        self, method: str, path: str, query: str = "api-version=2018-05-01", body: object = None
    ) -> requests.Response:
        """Send a request to the management plane."""
        url = path if path.startswith("https:") else self.address.endpoint + path
        return self.session.request(
            method,
            self.here(url) + (f"?{query}" if query else ""),
            json=json.loads(self.here(json.dumps(body))) if body else None,
            timeout=_TIMEOUT,
            allow_redirects=False,
        )

    def made(self, path: str, body: object = None, version: str = "2018-05-01") -> None:
        """Make what a recording found there already."""
        answer = self.ask("PUT", path, f"api-version={version}", body)
        assert answer.status_code in {200, 201, 202}, answer.text

    def account_key(self, group: str, name: str) -> str:
        """Make a storage account where there is none yet, with a share; return its key."""
        path = f"{group}/providers/Microsoft.Storage/storageAccounts/{name}"
        self.made(path, {"location": "northeurope"}, "2017-10-01")
        answer = self.ask("POST", f"{path}/listKeys", "api-version=2017-10-01")
        key = answer.json()["keys"][0]["value"]
        base = self.address.files_endpoint.rpartition("/")[0]
        files = FileService(
            connection_string=f"FileEndpoint={base}/{name};AccountName={name};AccountKey={key}"
        )
        files.create_share("share")
        return key


@define
class Patience:
    """Asks again until an answer is as recorded, for what takes the scheduler a moment."""

    seconds: float = field(default=4)

    def until(self, attempt: Callable[[], list]) -> list:
        """Return what an attempt still finds different at the end."""
        deadline = time.monotonic() + self.seconds
        pause = 0.01
        while (found := attempt()) and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, 0.2)
        return found


@pytest.fixture(scope="session")
def specs() -> Path:
    """The folder with the contract, its examples and the recordings, which is not shipped."""
    folder = Path(os.environ.get("BATCHAI_SPECS", _SPECS))
    if not folder.is_dir():
        pytest.skip(f"the recordings of the real service are not at {folder}")
    return folder


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A whole service that runs for all tests of a module."""
    state = StateDirectory(tmp_path_factory.mktemp("state"))
    state.create()
    service = Service(ServiceOptions(state=state))
    address = service.start()
    try:
        with (
            ClientSecretCredential(
                address.tenant_id,
                address.client_id,
                address.client_secret,
                authority=address.endpoint,
                connection_verify=address.ca_file,
                disable_instance_discovery=True,
            ) as credential,
            requests.Session() as session,
        ):
            token = credential.get_token("https://management.azure.com/.default").token
            session.trust_env = False
            session.verify = address.ca_file
            session.headers["Authorization"] = f"Bearer {token}"
            yield Live(address, session)
    finally:
        service.stop()


@pytest.fixture
def patience() -> Patience:
    """Waits for the scheduler, by asking."""
    return Patience()


@pytest.fixture
def compare() -> Callable[..., list]:
    """Tells in what an answer differs from a recorded one."""
    return differences
