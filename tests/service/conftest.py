"""A service's records and state directory, with rows as the management plane writes them."""

import json
import os
import shutil
import subprocess
import tarfile
import uuid
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from forked_programs import COMMAND

from batchai_recipes.service.changes import Changes
from batchai_recipes.service.clock import iso_timestamp
from batchai_recipes.service.engines.engine import TaskKey
from batchai_recipes.service.files.accounts import Accounts
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

ACCOUNT = "demoaccount"
KEY = "a2V5LW9uZQ=="
GROUP = "/subscriptions/S/resourceGroups/group"
WORKSPACE = f"{GROUP}/providers/Microsoft.BatchAI/workspaces/ws"
EXPERIMENT = f"{WORKSPACE}/experiments/exp"


class HandMovedClock:
    """A clock that stands still until a test moves it."""

    def __init__(self):
        self.moment = datetime(2018, 6, 6, 20, 0, tzinfo=timezone.utc)

    def now(self):
        """Return the moment."""
        return self.moment

    def advance(self, **span):
        """Move on by a time span: ``advance(seconds=90)``."""
        self.moment += timedelta(**span)


class ManagementRows:
    """Writes what the management plane writes, and reads what the scheduler answers."""

    def __init__(self, store, clock):
        self.store = store
        self.clock = clock
        self.add_resource("resourceGroup", GROUP, None)
        self.add_resource("workspace", WORKSPACE, GROUP)
        self.add_resource("experiment", EXPERIMENT, WORKSPACE)

    def add_resource(self, kind, resource_id, parent, properties=None, secrets=None):
        """Insert the row that every resource has."""
        now = iso_timestamp(self.clock.now())
        with self.store.write() as records:
            records.execute(
                "INSERT INTO resources (key, parent_key, kind, id, name, properties, secrets, "
                "provisioning_state, provisioned_at, created_at, modified_at, etag) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 'succeeded', ?, ?, ?, 'etag')",
                (
                    resource_id.lower(),
                    parent.lower() if parent else None,
                    kind,
                    resource_id,
                    resource_id.rpartition("/")[2],
                    json.dumps(properties or {}),
                    json.dumps(secrets or {}),
                    now,
                    now,
                    now,
                ),
            )

    def add_cluster(
        self,
        name="cluster",
        *,
        nodes=1,
        option="requeue",
        auto=None,
        setup=None,
        secrets=None,
        priority="dedicated",
        vm_size="STANDARD_D1",
    ):
        """Insert a cluster; ``auto`` are the bounds of automatic scale. Return its key."""
        cluster_id = f"{WORKSPACE}/clusters/{name}"
        scale = {"manual": {"targetNodeCount": nodes, "nodeDeallocationOption": option}}
        if auto is not None:
            scale = {"autoScale": {"minimumNodeCount": auto[0], "maximumNodeCount": auto[1]}}
        properties = {
            "scaleSettings": scale,
            "nodeSetup": setup or {},
            "vmPriority": priority,
            "vmSize": vm_size,
        }
        self.add_resource("cluster", cluster_id, WORKSPACE, properties, secrets)
        with self.store.write() as records:
            records.execute(
                "INSERT INTO clusters (key, uid, target_nodes, allocation_state, "
                "allocation_state_at) VALUES (?, ?, ?, 'resizing', ?)",
                (cluster_id.lower(), uuid.uuid4().hex, nodes, iso_timestamp(self.clock.now())),
            )
        return cluster_id.lower()

    def add_job(
        self,
        name="job",
        *,
        command="true",
        cluster="cluster",
        nodes=1,
        priority=0,
        secrets=None,
        account_keys=None,
        **properties,
    ):
        """Insert a queued job of the custom toolkit; return its key."""
        job_id = f"{EXPERIMENT}/jobs/{name}"
        uid = str(uuid.uuid4())
        segment = f"S/group/workspaces/ws/experiments/exp/jobs/{name}/{uid}"
        wire = {
            "nodeCount": nodes,
            "toolType": "custom",
            "customToolkitSettings": {"commandLine": command},
            "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/share",
            "jobOutputDirectoryPathSegment": segment,
            "constraints": {"maxWallClockTime": "P7D"},
            **properties,
        }
        hidden = {"environment": secrets or {}, "accountKeys": account_keys or {}}
        self.add_resource("job", job_id, EXPERIMENT, wire, hidden)
        with self.store.write() as records:
            records.execute(
                "INSERT INTO jobs (key, uid, cluster_key, priority, node_count, execution_state, "
                "execution_state_at) VALUES (?, ?, ?, ?, ?, 'queued', ?)",
                (
                    job_id.lower(),
                    uid,
                    f"{WORKSPACE}/clusters/{cluster}".lower(),
                    priority,
                    nodes,
                    iso_timestamp(self.clock.now()),
                ),
            )
        return job_id.lower()

    def add_operation(self, key, action):
        """Insert an operation in progress; return its id."""
        operation = uuid.uuid4().hex
        with self.store.write() as records:
            records.execute(
                "INSERT INTO operations VALUES "
                "(?, 'S', 'local', ?, ?, ?, 'InProgress', ?, NULL, NULL)",
                (operation, key, key, action, iso_timestamp(self.clock.now())),
            )
        return operation

    def scale(self, cluster_key, nodes):
        """Change a cluster's target, as a PATCH does."""
        with self.store.write() as records:
            records.execute(
                "UPDATE clusters SET target_nodes = ?, allocation_state = 'resizing' WHERE key = ?",
                (nodes, cluster_key),
            )

    def terminate(self, job_key):
        """Ask for a job's termination; return the operation's id."""
        with self.store.write() as records:
            records.execute(
                "UPDATE jobs SET termination_requested_at = ?, execution_state = "
                "CASE execution_state WHEN 'running' THEN 'terminating' ELSE execution_state END "
                "WHERE key = ?",
                (iso_timestamp(self.clock.now()), job_key),
            )
        return self.add_operation(job_key, "terminate")

    def delete(self, key):
        """Ask for a resource's deletion; return the operation's id."""
        with self.store.write() as records:
            records.execute(
                "UPDATE resources SET provisioning_state = 'deleting' WHERE key = ?", (key,)
            )
        return self.add_operation(key, "delete")

    def one(self, query, *values):
        """Return the first row of a query as a mapping, or None."""
        with self.store.read() as records:
            row = records.execute(query, values).fetchone()
        return None if row is None else dict(row)

    def job(self, job_key):
        """Return a job's row with its errors decoded."""
        row = self.one("SELECT * FROM jobs WHERE key = ?", job_key)
        return row | {"errors": json.loads(row["errors"])}

    def cluster(self, cluster_key):
        """Return a cluster's row with its errors decoded."""
        row = self.one("SELECT * FROM clusters WHERE key = ?", cluster_key)
        return row | {"errors": json.loads(row["errors"])}

    def node_states(self, cluster_key):
        """Return the states of a cluster's nodes, sorted."""
        with self.store.read() as records:
            rows = records.execute(
                "SELECT state FROM nodes WHERE cluster_key = ? ORDER BY state", (cluster_key,)
            ).fetchall()
        return [row["state"] for row in rows]

    def nodes_of(self, job_key):
        """Return the nodes of a job, the master first."""
        with self.store.read() as records:
            rows = records.execute(
                "SELECT node_id FROM job_nodes WHERE job_key = ? ORDER BY task_index", (job_key,)
            ).fetchall()
        return [row["node_id"] for row in rows]

    def task_of(self, job_key, name="process-0"):
        """Name a task of a job."""
        return TaskKey("job", self.job(job_key)["uid"], name)

    def operation_status(self, operation):
        """Return the status of an operation."""
        return self.one("SELECT status FROM operations WHERE id = ?", operation)["status"]

    def exists(self, key):
        """Tell whether a resource is there."""
        return self.one("SELECT 1 FROM resources WHERE key = ?", key) is not None


def share_setup(*, key=KEY, account=ACCOUNT, share="data", path="share"):
    """Return a node setup that mounts a share, and the secrets that go with it."""
    reference = {
        "accountName": account,
        "azureFileUrl": f"https://{account}.file.core.windows.net/{share}",
        "relativeMountPath": path,
        "credentials": {},
    }
    setup = {"mountVolumes": {"azureFileShares": [reference]}}
    return {"setup": setup, "secrets": {"accountKeys": {path: key}}}


@pytest.fixture
def share_mount():
    """Make node setups that mount a share: ``share_mount(key=..., account=..., share=...)``."""
    return share_setup


@pytest.fixture
def state(tmp_path):
    """A fresh state directory."""
    directory = StateDirectory(tmp_path / "state")
    directory.create()
    return directory


@pytest.fixture
def store(state):
    """The records of a fresh service."""
    opened = Store(state.database)
    yield opened
    opened.close()


@pytest.fixture
def hand_clock():
    """A clock that the test moves."""
    return HandMovedClock()


@pytest.fixture
def changes():
    """The bell that rings after commits."""
    return Changes()


@pytest.fixture
def rows(store, hand_clock):
    """The rows of a resource group with a workspace and an experiment."""
    return ManagementRows(store, hand_clock)


@pytest.fixture
def accounts(store):
    """The storage accounts: one, ``demoaccount``."""
    known = Accounts(store)
    known.create(ACCOUNT, KEY, "a2V5LXR3bw==")
    return known


@pytest.fixture
def shares(store, state, hand_clock, accounts):
    """The file shares: one, ``data``."""
    known = Shares(store, state, hand_clock)
    known.create(ACCOUNT, "data")
    return known


@pytest.fixture
def share_folder(shares):
    """The folder that is the share ``data``."""
    return shares.root(ACCOUNT, "data")


@pytest.fixture(scope="session")
def rows_type():
    """The type of ``rows``, for tests that make many."""
    return ManagementRows


@pytest.fixture(scope="session")
def clock_type():
    """The type of ``hand_clock``, for tests that make many."""
    return HandMovedClock


IMAGE = f"localhost/batchai-recipes-test:{os.getpid()}"
TOOLS = ("cat", "df", "echo", "env", "grep", "head", "ls", "sh", "sleep", "tail", "touch")


@pytest.fixture(scope="session")
def scratch_image(tmp_path_factory):
    """An image with a shell, made from Debian's static busybox."""
    busybox = shutil.which("busybox", path="/bin:/usr/bin")
    if busybox is None or os.geteuid() != 0 or shutil.which("podman") is None:
        pytest.skip("needs root, podman and busybox-static")
    if "statically linked" not in subprocess.run(
        ["ldd", busybox], capture_output=True, text=True, check=False
    ).stderr + _kind(busybox):
        pytest.skip("busybox is not static")
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(busybox, "bin/busybox")
        for folder in ("tmp", "etc", "proc", "sys", "dev"):
            made = tarfile.TarInfo(folder)
            made.type = tarfile.DIRTYPE
            made.mode = 0o755
            tar.addfile(made)
        for tool in TOOLS:
            link = tarfile.TarInfo(f"bin/{tool}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        note = tarfile.TarInfo("etc/inside")
        tar.addfile(note)
    _podman("import", "--quiet", str(archive), IMAGE)
    yield IMAGE
    _podman("rmi", "--force", IMAGE)


def _kind(program):
    """Tell how a program is linked: a static one names no interpreter."""
    return "" if b"ld-linux" in Path(program).read_bytes()[:4096] else "statically linked"


def _podman(*arguments):
    subprocess.run(["podman", *arguments], capture_output=True, check=True)


@pytest.fixture(scope="session")
def serving(forked):
    """Run `batchai-recipes serve` until a block ends; what it says first is in `said`."""

    @contextmanager
    def run(state_dir, *arguments):
        options = ("serve", "--state-dir", state_dir)
        with forked.start(COMMAND, *options, *arguments) as process:
            process.said = []
            for line in process.stdout:
                process.said.append(line)
                if line.startswith("Stop with"):
                    break
            else:
                raise AssertionError(process.stderr.read())
            try:
                yield process
            finally:
                process.terminate()
                process.wait()

    return run


@pytest.fixture(scope="session")
def serve(forked):
    """Run `batchai-recipes serve` to its end."""
    return lambda *arguments: forked.run(COMMAND, "serve", *arguments)
