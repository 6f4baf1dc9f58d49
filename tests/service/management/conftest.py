"""A real management plane on loopback, with a stand-in for the scheduler's part of the records."""

import itertools
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from attrs import define, field, frozen
from azure.identity import ClientSecretCredential
from azure.mgmt.batchai import BatchAI
from azure.mgmt.resource.resources import ResourceManagementClient

from batchai_recipes.service.changes import Changes
from batchai_recipes.service.clock import SystemClock, iso_timestamp
from batchai_recipes.service.files.accounts import Accounts
from batchai_recipes.service.identity.certificates import ensure_authority, ensure_signing_key
from batchai_recipes.service.identity.principals import Principals
from batchai_recipes.service.identity.tokens import Tokens
from batchai_recipes.service.listener import Listener, TlsFiles, bind
from batchai_recipes.service.management.app import Addresses, management_app
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

TENANT = str(uuid.uuid4())
CLIENT = str(uuid.uuid4())
SECRET = "the client's secret"
SUBSCRIPTION = str(uuid.uuid4())
ACCOUNT = "teststorage"
ACCOUNT_KEY = "a2V5IG9uZQ=="
FILES_BASE = "http://127.0.0.1:9"

_numbers = itertools.count()


class WatchedChanges(Changes):
    """Changes that tell a test when someone begins to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_for = threading.Event()

    def listen(self, listener: Callable[[], None]) -> None:
        """Listen, and say so."""
        super().listen(listener)
        self.waited_for.set()


@define
class SchedulerStandIn:
    """Does to the records what the scheduler does, at once, unless it is held back."""

    store: Store
    changes: WatchedChanges
    held: threading.Event = field(factory=threading.Event)

    def wake(self) -> None:
        """Finish everything that is asked for."""
        if not self.held.is_set():
            self.settle()

    def settle(self) -> None:
        """Finish everything that is asked for, also while held back."""
        now = iso_timestamp(SystemClock().now())
        terminated = json.dumps(
            [{"code": "JobTerminated", "message": "The specified job has been terminated"}]
        )
        with self.store.write() as records:
            records.execute(
                "UPDATE jobs SET execution_state = 'failed', execution_state_at = ?1, "
                "ended_at = ?1, errors = ?2 WHERE termination_requested_at IS NOT NULL "
                "AND execution_state NOT IN ('succeeded', 'failed')",
                (now, terminated),
            )
            for cluster in records.execute(
                "SELECT * FROM clusters WHERE allocation_state = 'resizing'"
            ).fetchall():
                records.execute("DELETE FROM nodes WHERE cluster_key = ?", (cluster["key"],))
                records.executemany(
                    "INSERT INTO nodes (id, cluster_key, state, state_at) VALUES (?, ?, ?, ?)",
                    [
                        (uuid.uuid4().hex, cluster["key"], "idle", now)
                        for _ in range(cluster["target_nodes"])
                    ],
                )
                records.execute(
                    "UPDATE clusters SET allocation_state = 'steady' WHERE key = ?",
                    (cluster["key"],),
                )
            records.execute("DELETE FROM resources WHERE provisioning_state = 'deleting'")
            records.execute(
                "UPDATE operations SET status = 'Succeeded', ended_at = ? "
                "WHERE status = 'InProgress'",
                (now,),
            )
        self.changes.announce()


@frozen
class Plane:
    """A running management plane."""

    base: str
    ca_file: str
    state: StateDirectory
    store: Store
    scheduler: SchedulerStandIn
    tokens: Tokens
    subscription: str = SUBSCRIPTION
    tenant: str = TENANT
    client: str = CLIENT
    secret: str = SECRET
    account: str = ACCOUNT
    account_key: str = ACCOUNT_KEY
    files_base: str = FILES_BASE

    def credential(self) -> ClientSecretCredential:
        """Return what Azure's own clients sign in with."""
        return ClientSecretCredential(
            TENANT,
            CLIENT,
            SECRET,
            authority=self.base,
            connection_verify=self.ca_file,
            disable_instance_discovery=True,
        )

    def execute(self, statement: str, *values: object) -> None:
        """Write to the records as the scheduler would."""
        with self.store.write() as records:
            records.execute(statement, values)


@frozen
class Api:
    """Raw requests with a valid token; paths are below the subscription."""

    plane: Plane
    session: requests.Session

    def __call__(
        self, method: str, path: str, body: object = None, *, version: str = "2018-05-01", **extra
    ) -> requests.Response:
        """Send a request."""
        params = {"api-version": version, **extra.pop("params", {})}
        url = f"{self.plane.base}/subscriptions/{SUBSCRIPTION}{path}"
        if body is not None:
            extra["json"] = body
        return self.session.request(
            method, url, params=params, allow_redirects=False, timeout=30, **extra
        )

    def made(self, path: str, body: object = None) -> dict:
        """Make something, and return it as it is shown."""
        answer = self("PUT", path, body)
        assert answer.status_code in {200, 201, 202}, answer.text
        return self("GET", path).json()


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A management plane that runs for all tests; each test has a resource group of its own."""
    state = StateDirectory(Path(tmp_path_factory.mktemp("state")))
    state.create()
    files = ensure_authority(state.certificates)
    with ExitStack() as stack:
        store = Store(state.database)
        stack.callback(store.close)
        principals = Principals(store)
        principals.add(CLIENT, TENANT, SECRET)
        Accounts(store).create(ACCOUNT, ACCOUNT_KEY, "a2V5IHR3bw==")
        changes = WatchedChanges()
        scheduler = SchedulerStandIn(store, changes)
        taken = bind("127.0.0.1", 0)
        base = f"https://127.0.0.1:{taken.getsockname()[1]}"
        tokens = Tokens(ensure_signing_key(state.certificates), lambda: base, TENANT, SystemClock())
        app = management_app(
            state=state,
            store=store,
            clock=SystemClock(),
            changes=changes,
            wake=scheduler.wake,
            tokens=tokens,
            principals=principals,
            addresses=lambda: Addresses(management_base=base, files_base=FILES_BASE),
            subscription_id=SUBSCRIPTION,
        )
        tls = TlsFiles(str(files.server_cert_file), str(files.server_key_file))
        listener = Listener(app, taken, tls=tls)
        listener.start()
        stack.callback(listener.stop)
        yield Plane(base, str(files.ca_file), state, store, scheduler, tokens)


@pytest.fixture
def scheduler(plane: Plane) -> Iterator[SchedulerStandIn]:
    """The scheduler's stand-in, for tests that hold it back."""
    yield plane.scheduler
    plane.scheduler.held.clear()
    plane.scheduler.settle()


@pytest.fixture
def api(plane: Plane) -> Iterator[Api]:
    """Raw requests with a valid token."""
    token, _ = plane.tokens.issue(CLIENT, "https://management.azure.com")
    with requests.Session() as session:
        # The variable REQUESTS_CA_BUNDLE would win over the session's own setting.
        session.trust_env = False
        session.verify = plane.ca_file
        session.headers["Authorization"] = f"Bearer {token}"
        yield Api(plane, session)


@pytest.fixture
def group(api: Api) -> str:
    """The path of a new resource group."""
    path = f"/resourceGroups/group-{next(_numbers)}"
    answer = api("PUT", path, {"location": "northeurope"}, version="2021-04-01")
    assert answer.status_code == 201, answer.text
    return path


@pytest.fixture
def workspace(api: Api, group: str) -> str:
    """The path of a new workspace."""
    path = f"{group}/providers/Microsoft.BatchAI/workspaces/workspace"
    api.made(path, {"location": "northeurope"})
    return path


@pytest.fixture
def experiment(api: Api, workspace: str) -> str:
    """The path of a new experiment."""
    path = f"{workspace}/experiments/experiment"
    api.made(path)
    return path


@pytest.fixture
def cluster(api: Api, workspace: str) -> str:
    """The path of a new cluster with one node, which mounts the share 'share' at 'afs'."""
    path = f"{workspace}/clusters/cluster"
    api.made(path, _cluster_body())
    return path


@pytest.fixture
def batchai(plane: Plane) -> Iterator[BatchAI]:
    """Azure's own client of Batch AI."""
    with (
        plane.credential() as credential,
        BatchAI(
            credential,
            SUBSCRIPTION,
            base_url=plane.base,
            connection_verify=plane.ca_file,
            polling_interval=0.05,
        ) as client,
    ):
        yield client


@pytest.fixture
def resource_client(plane: Plane) -> Iterator[ResourceManagementClient]:
    """Azure's own client of resource groups."""
    with (
        plane.credential() as credential,
        ResourceManagementClient(
            credential,
            SUBSCRIPTION,
            base_url=plane.base,
            connection_verify=plane.ca_file,
            polling_interval=0.05,
        ) as client,
    ):
        yield client


def _share(at: str = "afs", share: str = "share") -> dict:
    return {
        "accountName": ACCOUNT,
        "azureFileUrl": f"https://{ACCOUNT}.file.core.windows.net/{share}",
        "credentials": {"accountKey": ACCOUNT_KEY},
        "relativeMountPath": at,
    }


def _cluster_body(**properties: object) -> dict:
    return {
        "properties": {
            "vmSize": "STANDARD_NC6",
            "scaleSettings": {"manual": {"targetNodeCount": 1}},
            "userAccountSettings": {"adminUserName": "demo", "adminUserPassword": "pass-word"},
            "nodeSetup": {"mountVolumes": {"azureFileShares": [_share()]}},
            **properties,
        }
    }


@pytest.fixture
def file_share() -> Callable[..., dict]:
    """Makes the description of a file share to mount."""
    return _share


@pytest.fixture
def cluster_body() -> Callable[..., dict]:
    """Makes the body of a request for a cluster."""
    return _cluster_body


@pytest.fixture
def job_body(cluster: str) -> Callable[..., dict]:
    """Makes the body of a request for a job on the cluster."""

    def body(**properties: object) -> dict:
        return {
            "properties": {
                "cluster": {"id": f"/subscriptions/{SUBSCRIPTION}{cluster}"},
                "nodeCount": 1,
                "customToolkitSettings": {"commandLine": "echo hi"},
                "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/afs",
                **properties,
            }
        }

    return body
