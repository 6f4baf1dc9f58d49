"""A Ray cluster of four machines on this one: separate processes in networks of their own.

Each machine has its own network, hostname and view of the file system; the latter hides a folder,
as if the share's directory were not mounted there. A bridge is all that joins the networks: Ray
asks a cloud's metadata address and DNS when it starts, and nothing shall leave this machine. The
first machine has the head and the bridge, and the tests and their services run in its network.
"""

import contextlib
import ctypes
import importlib.util
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from batchai_recipes.service.engines.supervision.processes import descendants, kill_all

HEAD_PORT = 6379
MACHINES = 4
PATIENCE_SECONDS = 90.0
OFFERED = ("--num-cpus", "32", "--num-gpus", "4", "--memory", str(200 << 30))
_CLONE_NEWNET = 0x40000000
_HIDE = (
    'mount --make-rprivate / && mount -t tmpfs none "$0" && '
    'echo "$1" > /proc/sys/kernel/hostname && shift && exec "$@"'
)
_STARTED = b"Ray runtime started"


class Machine:
    """One machine of the cluster: ``ray start`` and all that runs below it.

    Args:
        cluster: The cluster.
        number: Its number, from 1; the first has the head.
    """

    def __init__(self, cluster, number):
        self.cluster = cluster
        self.number = number
        self.address = f"10.77.0.{number}"
        self.network = _Network()
        self.process = None
        self._drain = None

    def join(self, first):
        """Connect its network to the bridge, which the first machine has."""
        if self is first:
            self._ip("link", "add", "br0", "type", "bridge")
            self._ip("addr", "add", f"{self.address}/24", "dev", "br0")
            self._ip("link", "set", "br0", "up")
            return
        pair = ("type", "veth", "peer", "name", "eth0", "netns", str(self.network.pid))
        first._ip("link", "add", self._port, *pair)
        first._ip("link", "set", self._port, "master", "br0", "up")
        self._ip("addr", "add", f"{self.address}/24", "dev", "eth0")
        self._ip("link", "set", "eth0", "up")

    def cut_off(self):
        """Let nothing from it reach the others, nor the other way round."""
        self.cluster.machines[0]._ip("link", "set", self._port, "down")

    def reconnect(self):
        """Let it reach the others again."""
        self.cluster.machines[0]._ip("link", "set", self._port, "up")

    @property
    def _port(self):
        return f"port{self.number}"

    def _ip(self, *arguments):
        subprocess.run(["nsenter", f"--net={self.network.path}", "ip", *arguments], check=True)

    def begin(self):
        """Begin to start it."""
        offered = OFFERED
        role = ["--address", self.cluster.address]
        if self.number == 1:
            dashboard = f"--include-dashboard={str(self.cluster.dashboard).lower()}"
            role = ["--head", "--port", str(HEAD_PORT), dashboard]
            offered = self.cluster.head_offers
        folder = self.cluster.folder / f"m{self.number}-{time.monotonic_ns() % 10**6}"
        self.process = subprocess.Popen(
            [
                *("nsenter", f"--net={self.network.path}", "unshare", "--mount", "--uts"),
                *("sh", "-c", _HIDE, str(self.cluster.hidden), f"machine{self.number}"),
                *(sys.executable, "-m", "ray.scripts.scripts", "start", *role, "--block"),
                *("--node-ip-address", self.address, "--temp-dir", str(folder)),
                *("--object-store-memory", "80000000", "--disable-usage-stats", *offered),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "RAY_health_check_initial_delay_ms": "500",
                "RAY_health_check_period_ms": "1000",
                "RAY_health_check_timeout_ms": "2000",
                "RAY_health_check_failure_threshold": "3",
                "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
                "RAY_prestart_worker_first_driver": "0",
                "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
                **self.cluster.credentials,
                **self.cluster.environment,
            },
            start_new_session=True,
        )

    def wait(self):
        """Wait until it is up."""
        said = b""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while _STARTED not in said:
            ready, _, _ = select.select(
                [self.process.stdout], [], [], max(deadline - time.monotonic(), 0)
            )
            more = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert more, f"Ray did not start: {said.decode(errors='replace')}"
            said += more
        self._drain = threading.Thread(target=_drain, args=(self.process.stdout,), daemon=True)
        self._drain.start()

    def all_processes(self):
        """Find the ids of its processes, and of what jobs run on it."""
        return descendants(self.process.pid)

    def processes(self, name):
        """Find the ids of its processes whose program has a name."""
        found = []
        for pid in self.all_processes():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if words[0].decode().rpartition("/")[2].startswith(name):
                    found.append(pid)
        return found

    def kill(self):
        """Let it fail: all its processes at once."""
        if self.process is None:
            return
        for _ in range(3):  # they may start others in between
            os.kill(self.process.pid, signal.SIGSTOP)
            kill_all(descendants(self.process.pid))
        self.process.kill()
        self.process.wait()
        self.process = None
        if self._drain is not None:
            self._drain.join()

    def restart(self):
        """Start it again."""
        self.kill()
        self.begin()
        self.wait()


class _Network:
    """A network of its own, with nothing but the loopback at first."""

    def __init__(self):
        self._keeper = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._keeper.stdout.readline() == b"up\n"
        self.pid = self._keeper.pid
        self.path = f"/proc/{self.pid}/ns/net"

    def close(self):
        """Give it up; it goes when nothing is in it any more."""
        self._keeper.stdin.close()
        self._keeper.wait()
        self._keeper.stdout.close()


class RayCluster:
    """Four machines of Ray, the first of which has the head.

    Args:
        machines: How many they are.
        dashboard: Whether it has Ray's dashboard, which takes Ray Jobs.
        token: Whether its machines listen to nobody without its token.
        environment: What else Ray finds in its environment.
        head_offers: What the first machine has, as options of ``ray start``.

    Attributes:
        credentials: The variables by which Ray finds the token.
    """

    def __init__(
        self,
        machines=MACHINES,
        *,
        dashboard=False,
        token=False,
        environment=None,
        head_offers=OFFERED,
    ):
        self.dashboard = dashboard
        self.environment = environment or {}
        self.head_offers = head_offers
        # Paths of Unix sockets must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        # Else Ray would look for a token of the user's.
        self.credentials = {"RAY_AUTH_MODE": "disabled"}
        if token:
            file = self.folder / "token"
            file.write_text(secrets.token_hex())
            self.credentials = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}
        self.hidden = self.folder / "hidden"
        self.hidden.mkdir()
        self.node_folder = self.folder / "nodes"
        self.machines = [Machine(self, number) for number in range(1, machines + 1)]
        self.host = self.machines[0].address
        self.address = f"{self.host}:{HEAD_PORT}"
        for machine in self.machines:
            machine.join(self.machines[0])

    def start(self):
        """Start all machines; the others beside each other."""
        head, *others = self.machines
        head.begin()
        head.wait()
        for machine in others:
            machine.begin()
        for machine in others:
            machine.wait()

    @contextlib.contextmanager
    def one_more(self):
        """Let a further machine join, until a block ends."""
        machine = Machine(self, len(self.machines) + 1)
        self.machines.append(machine)
        try:
            machine.join(self.machines[0])
            machine.begin()
            machine.wait()
            yield machine
        finally:
            machine.kill()
            machine.network.close()
            self.machines.remove(machine)

    def stop(self):
        """End all that was started, and remove its folders."""
        for machine in self.machines:
            machine.kill()
        for machine in self.machines:
            machine.network.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def entered(self):
        """Let this thread, and what it starts, be in the first machine's network."""
        other_path = Path(self.machines[0].network.path)
        with Path("/proc/thread-self/ns/net").open() as own, other_path.open() as other:
            _set_network(other)
            try:
                yield
            finally:
                _set_network(own)


def _drain(stream):
    with stream:
        stream.read()


def _set_network(file):
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(file.fileno(), _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _why_not():
    if importlib.util.find_spec("ray") is None:
        return "Ray is not installed (`make test-ray` installs it)"
    return why_not_permitted()


def why_not_permitted():
    """Say why this machine cannot have such a cluster, if so."""
    if not all(map(shutil.which, ("unshare", "nsenter", "ip", "mount"))):
        return "unshare, nsenter, ip and mount are not all installed"
    allowed = subprocess.run(
        ["unshare", "--net", "--mount", "--uts", "ip", "link", "add", "br0", "type", "bridge"],
        capture_output=True,
        check=False,
    )
    return "" if allowed.returncode == 0 else "namespaces and bridges of networks are not permitted"


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their markers
def pytest_collection_modifyitems(items):
    """Mark what needs the cluster: ``make test`` leaves it to ``make test-ray``, which has one."""
    for item in items:
        if "ray_cluster" in getattr(item, "fixturenames", ()):
            item.add_marker("ray")


@contextlib.contextmanager
def running_cluster(machines=MACHINES, **options):
    """Run a Ray cluster until a block ends, or skip the test where that is not possible."""
    why_not = _why_not()
    if why_not:
        pytest.skip(f"NO TEST OF THE RAY ENGINE: {why_not}")
    cluster = RayCluster(machines, **options)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def ray_cluster():
    """A Ray cluster of four machines, which listen to nobody without its token, for all tests."""
    with running_cluster(token=True) as cluster, pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.credentials.items():
            patch.setenv(name, value)
        yield cluster


@pytest.fixture
def in_ray_cluster(ray_cluster, monkeypatch):
    """The cluster, with the test in its network."""
    monkeypatch.setenv("BATCHAI_TEST_RAY_ADDRESS", ray_cluster.address)
    monkeypatch.setenv("BATCHAI_TEST_RAY_FOLDER", str(ray_cluster.node_folder))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    with ray_cluster.entered():
        yield ray_cluster


if __name__ == "__main__":
    reason = why_not_permitted()
    print(reason)  # noqa: T201  # for .ci/run
    sys.exit(bool(reason))
