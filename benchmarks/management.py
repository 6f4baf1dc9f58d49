"""The management plane beside moto's server in the same run: medians of several rounds.

GET of a job, a page of a list, and create-get-delete of an experiment, with 1 and with 8
connections, with 100 and with 100,000 jobs in the store; moto's S3 GET, and put-get-delete of an
object, by the same client (wrk). Then how long the service takes to start, and its memory.

Name a Python that has ``moto[server]`` by ``--moto``.
"""

import argparse
import json
import socket
import sqlite3
import ssl
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import wrk

from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.launcher import LocalService

CONNECTIONS = (1, 8)
FEW, MANY = 100, 100_000
PAGE = 100
VERSION = "?api-version=2018-05-01"
_COPY_JOBS = """
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
    INSERT INTO {table} ({columns}) SELECT {values} FROM {table}, numbers WHERE {table}.key = ?
"""

Measure = Callable[[int], wrk.Load]
"""Measures one thing with a number of connections."""


class Client:
    """Sends single requests to a service, and tells what wrk needs for many.

    Args:
        address: Where the service is.
    """

    def __init__(self, address: ServiceAddress) -> None:
        self._base = address.endpoint
        self._tls = ssl.create_default_context(cafile=address.ca_file)
        form = {
            "grant_type": "client_credentials",
            "client_id": address.client_id,
            "client_secret": address.client_secret,
            "scope": "https://management.azure.com/.default",
        }
        path = f"/{address.tenant_id}/oauth2/v2.0/token"
        answer = json.loads(self._send("POST", path, urlencode(form).encode(), {}))
        self.headers = {"Authorization": f"Bearer {answer['access_token']}"}

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        """Send a request that must succeed; return the body of its answer."""
        content = json.dumps(body).encode() if body is not None else None
        headers = {**self.headers, "Content-Type": "application/json"}
        return self._send(method, path + VERSION, content, headers)

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        request = urllib.request.Request(self._base + path, body, headers, method=method)
        with urllib.request.urlopen(request, context=self._tls) as answer:
            read: bytes = answer.read()
            return read


def make_job(client: Client, subscription: str) -> str:
    """Make a job that waits for a node for ever; return its experiment's path."""
    group = f"/subscriptions/{subscription}/resourceGroups/benchmark"
    workspace = f"{group}/providers/Microsoft.BatchAI/workspaces/workspace"
    cluster = {
        "vmSize": "STANDARD_NC6",
        "scaleSettings": {"manual": {"targetNodeCount": 0}},
        "userAccountSettings": {"adminUserName": "demo"},
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
        (f"{workspace}/experiments/experiment/jobs/job", {"properties": job}),
    ):
        client.ask("PUT", path, body)
    return f"{workspace}/experiments/experiment"


def fill(state: Path, experiment: str, jobs: int) -> None:
    """Write jobs that have ended to the records, as copies of the one that there is."""
    key = f"{experiment}/jobs/job".lower()
    number = "printf('-%06d', n)"
    special = {
        "key": f"key || {number}",
        "id": f"id || {number}",
        "name": f"name || {number}",
        "uid": "lower(hex(randomblob(16)))",
        "execution_state": "'succeeded'",
    }
    with closing(sqlite3.connect(state / "state.db", timeout=30)) as database:
        for table in ("resources", "jobs"):
            rows = database.execute(f"PRAGMA table_info({table})")
            columns = [row[1] for row in rows if row[1] != "sequence"]
            values = [special.get(column, column) for column in columns]
            statement = _COPY_JOBS.format(
                table=table, columns=", ".join(columns), values=", ".join(values)
            )
            database.execute(statement, (jobs, key))
        database.commit()


def of_service(service: LocalService, folder: Path, jobs: int, seconds: int) -> dict[str, Measure]:
    """Return what can be measured of a service that holds a number of jobs."""
    client = Client(service.address)
    experiment = make_job(client, service.address.subscription_id)
    fill(folder, experiment, jobs)
    base, headers = service.address.endpoint, client.headers

    def ask(path: str) -> Measure:
        return lambda count: wrk.get(base + path, headers, count, seconds)

    page = f"{experiment}/jobs{VERSION}&maxresults={PAGE}"
    link = json.loads(client.ask("GET", f"{experiment}/jobs")).get("nextLink")
    measures = {
        f"GET of a job, {jobs:,} jobs": ask(f"{experiment}/jobs/job{VERSION}"),
        f"first page of {PAGE}, {jobs:,} jobs": ask(page),
        f"experiment, create to gone, {jobs:,} jobs": lambda count: wrk.live(
            f"{base}{experiment}-", VERSION, headers, count, seconds
        ),
    }
    if link is not None:
        later = f"{link.removeprefix(base)}&maxresults={PAGE}"
        measures[f"later page of {PAGE}, {jobs:,} jobs"] = ask(later)
    return measures


@contextmanager
def moto(python: str, seconds: int) -> Iterator[dict[str, Measure]]:
    """Run moto's server; give what can be measured of it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            base = f"http://127.0.0.1:{port}/bucket"
            scope = "AWS4-HMAC-SHA256 Credential=a/20200101/us-east-1/s3/aws4"
            headers = {"Authorization": scope}
            for path, body in (("", None), ("/key", b"x" * 1000)):
                request = urllib.request.Request(base + path, body, headers, method="PUT")
                urllib.request.urlopen(request).close()
            yield {
                "moto, GET of an S3 object": lambda count: wrk.get(
                    f"{base}/key", headers, count, seconds
                ),
                "moto, object, put to gone": lambda count: wrk.live(
                    f"{base}/key-", "", headers, count, seconds
                ),
            }
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    with socket.socket() as attempt:
        while attempt.connect_ex(("127.0.0.1", port)) != 0:
            if time.monotonic() > deadline:
                raise TimeoutError("moto's server did not start")
            time.sleep(0.05)


def measure_start(starts: int) -> None:
    """Print how long a service takes to start, and what memory it holds when idle."""
    seconds, resident, own = [], [], []
    for _ in range(starts):
        with tempfile.TemporaryDirectory() as folder:
            with closing(LocalService(Path(folder))):
                pass  # the first start makes certificates and keys
            began = time.perf_counter()
            with closing(LocalService(Path(folder))) as service:
                seconds.append(time.perf_counter() - began)
                time.sleep(1)
                memory = Path(f"/proc/{service.address.pid}/smaps_rollup").read_text()
                sizes = dict(line.split(":") for line in memory.splitlines()[1:])
                resident.append(int(sizes["Rss"].split()[0]) / 1024)
                own.append(int(sizes["Pss"].split()[0]) / 1024)
    print(
        f"start to ready {statistics.median(seconds):.2f} s (worst {max(seconds):.2f}); idle "
        f"memory {statistics.median(resident):.0f} MiB resident, "
        f"{statistics.median(own):.0f} MiB proportional; medians of {starts}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moto", help="a Python that has moto[server]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    arguments = parser.parse_args()
    loads: dict[tuple[str, int], list[wrk.Load]] = defaultdict(list)
    with ExitStack() as stack:
        measures: dict[str, Measure] = {}
        for jobs in (FEW, MANY):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            service = stack.enter_context(closing(LocalService(folder)))
            measures |= of_service(service, folder, jobs, arguments.seconds)
        if arguments.moto:
            measures |= stack.enter_context(moto(arguments.moto, arguments.seconds))
        for _ in range(arguments.rounds):
            for name, measure in measures.items():
                for count in CONNECTIONS:
                    loads[name, count].append(measure(count))
    for (name, count), found in loads.items():
        rate, p50, p99 = (
            statistics.median(getattr(load, which) for load in found)
            for which in ("per_second", "p50", "p99")
        )
        print(f"| {name} | {count} | {rate:,.0f} | {p50:.2f} | {p99:.2f} |")
    measure_start(arguments.rounds)


if __name__ == "__main__":
    main()
