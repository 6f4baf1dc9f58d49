"""A Ray cluster of four machines on this one: separate processes in a network of their own.

Ray asks a cloud's metadata address and DNS when it starts, so its network has the loopback only.
Each machine has a view of the file system of its own that hides a folder, as if the share's
directory were not mounted there.
"""

import contextlib
import ctypes
import importlib.util
import os
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
_CLONE_NEWNET = 0x40000000
_HIDE = 'mount --make-rprivate / && mount -t tmpfs none "$0" && exec "$@"'
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
        self.address = f"127.0.0.{number}"
        self.process = None
        self._drain = None

    def begin(self):
        """Begin to start it."""
        role = ["--address", self.cluster.address]
        if self.number == 1:
            role = ["--head", "--port", str(HEAD_PORT), "--include-dashboard=false"]
        folder = self.cluster.folder / f"m{self.number}-{time.monotonic_ns() % 10**6}"
        self.process = subprocess.Popen(
            [
                *("nsenter", f"--net={self.cluster.network}", "unshare", "--mount"),
                *("sh", "-c", _HIDE, str(self.cluster.hidden)),
                *(sys.executable, "-m", "ray.scripts.scripts", "start", *role, "--block"),
                *("--node-ip-address", self.address, "--temp-dir", str(folder)),
                *("--num-cpus", "32", "--num-gpus", "4", "--memory", str(200 << 30)),
                *("--object-store-memory", "80000000", "--disable-usage-stats"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "RAY_health_check_initial_delay_ms": "500",
                "RAY_health_check_period_ms": "1000",
                "RAY_health_check_failure_threshold": "3",
                "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
                "RAY_prestart_worker_first_driver": "0",
                "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
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

    def processes(self, name):
        """Find the ids of its processes whose program has a name."""
        found = []
        for pid in descendants(self.process.pid):
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


class RayCluster:
    """Four machines of Ray, the first of which has the head."""

    def __init__(self):
        self.address = f"127.0.0.1:{HEAD_PORT}"
        # Paths of Unix sockets must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        self.hidden = self.folder / "hidden"
        self.hidden.mkdir()
        self.node_folder = self.folder / "nodes"
        self._network = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._network.stdout.readline() == b"up\n"
        self.network = f"/proc/{self._network.pid}/ns/net"
        self.machines = [Machine(self, number) for number in range(1, MACHINES + 1)]

    def start(self):
        """Start all machines; the others beside each other."""
        head, *others = self.machines
        head.begin()
        head.wait()
        for machine in others:
            machine.begin()
        for machine in others:
            machine.wait()

    def stop(self):
        """End all that was started, and remove its folders."""
        for machine in self.machines:
            machine.kill()
        self._network.stdin.close()
        self._network.wait()
        self._network.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def entered(self):
        """Let this thread, and what it starts, be in the cluster's network."""
        with Path("/proc/thread-self/ns/net").open() as own, Path(self.network).open() as other:
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
        return "Ray is not installed (the extra 'ray'; .ci/run installs it)"
    if not all(map(shutil.which, ("unshare", "nsenter", "ip", "mount"))):
        return "unshare, nsenter, ip and mount are not all installed"
    allowed = subprocess.run(
        ["unshare", "--net", "--mount", "ip", "link", "set", "lo", "up"],
        capture_output=True,
        check=False,
    )
    return "" if allowed.returncode == 0 else "network and mount namespaces are not permitted"


@pytest.fixture(scope="session")
def ray_cluster():
    """A Ray cluster of four machines, for all tests that need one."""
    why_not = _why_not()
    if why_not:
        pytest.skip(f"NO TEST OF THE RAY ENGINE: {why_not}")
    cluster = RayCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def in_ray_cluster(ray_cluster, monkeypatch):
    """The cluster, with the test in its network."""
    monkeypatch.setenv("BATCHAI_TEST_RAY_ADDRESS", ray_cluster.address)
    monkeypatch.setenv("BATCHAI_TEST_RAY_FOLDER", str(ray_cluster.node_folder))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    with ray_cluster.entered():
        yield ray_cluster
