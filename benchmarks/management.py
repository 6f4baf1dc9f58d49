"""Requests per second of the management plane, beside moto's server in the same run.

GET of a job, and create-get-delete of an experiment, with 1 and with 8 connections. The clients
are threads of this program, so with 8 connections they take their share of the processors too.
Name a Python that has ``moto[server]`` by ``--moto`` to measure its S3 GET beside them.
"""

import argparse
import http.client
import json
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.launcher import LocalService

SECONDS = 3.0
CONNECTIONS = (1, 8)

Ask = Callable[..., tuple[int, bytes]]


class Client:
    """Opens connections to the service with a token.

    Args:
        address: Where the service is.
    """

    def __init__(self, address: ServiceAddress) -> None:
        self._host = urlsplit(address.endpoint).netloc
        self._tls = ssl.create_default_context(cafile=address.ca_file)
        form = {
            "grant_type": "client_credentials",
            "client_id": address.client_id,
            "client_secret": address.client_secret,
            "scope": "https://management.azure.com/.default",
        }
        connection = http.client.HTTPSConnection(self._host, context=self._tls)
        connection.request(
            "POST",
            f"/{address.tenant_id}/oauth2/v2.0/token",
            urlencode(form),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        token = json.loads(connection.getresponse().read())["access_token"]
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def connection(self) -> Ask:
        """Return what sends requests over one new connection."""
        connection = http.client.HTTPSConnection(self._host, context=self._tls)

        def ask(method: str, path: str, body: object = None) -> tuple[int, bytes]:
            content = json.dumps(body) if body is not None else None
            connection.request(method, f"{path}?api-version=2018-05-01", content, self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

        return ask


def _make_job(ask: Ask, subscription: str) -> str:
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
        status, answer = ask("PUT", path, body)
        assert status in {200, 201, 202}, answer
    return f"{workspace}/experiments/experiment"


def _measure(name: str, connect: Callable[[int], Callable[[], None]]) -> None:
    """Do one thing over and over; print how often and how fast."""
    for count in CONNECTIONS:
        taken: list[float] = []
        end = time.monotonic() + SECONDS

        def work(number: int, taken: list[float] = taken, end: float = end) -> None:
            once = connect(number)
            while time.monotonic() < end:
                began = time.perf_counter()
                once()
                taken.append(time.perf_counter() - began)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken.sort()
        middle, late = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
        print(
            f"{name:32} {count} connections {len(taken) / SECONDS:8.0f}/s "
            f"p50 {middle * 1000:6.2f} ms  p99 {late * 1000:6.2f} ms"
        )


def _service() -> None:
    with tempfile.TemporaryDirectory() as folder, closing(LocalService(Path(folder))) as service:
        client = Client(service.address)
        experiment = _make_job(client.connection(), service.address.subscription_id)

        def get_job(_number: int) -> Callable[[], None]:
            ask = client.connection()

            def once() -> None:
                assert ask("GET", f"{experiment}/jobs/job")[0] == HTTPStatus.OK

            return once

        def live_once(number: int) -> Callable[[], None]:
            ask = client.connection()
            path = f"{experiment}-{number}"

            def once() -> None:
                assert ask("PUT", path)[0] == HTTPStatus.OK
                assert ask("GET", path)[0] == HTTPStatus.OK
                assert ask("DELETE", path)[0] == HTTPStatus.ACCEPTED
                while ask("GET", path)[0] != HTTPStatus.NOT_FOUND:
                    pass

            return once

        _measure("GET of a job", get_job)
        _measure("experiment, create to gone", live_once)


def _moto(python: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20200101/us-east-1/s3/aws4"}

            def get_object(_number: int) -> Callable[[], None]:
                connection = http.client.HTTPConnection("127.0.0.1", port)

                def ask(method: str, path: str, content: bytes | None = None) -> int:
                    connection.request(method, path, content, headers)
                    answer = connection.getresponse()
                    answer.read()
                    return answer.status

                ask("PUT", "/bucket")
                ask("PUT", "/bucket/key", b"x" * 1000)

                def once() -> None:
                    assert ask("GET", "/bucket/key") == HTTPStatus.OK

                return once

            _measure("moto, GET of an S3 object", get_object)
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    with socket.socket() as attempt:
        while attempt.connect_ex(("127.0.0.1", port)) != 0:
            if time.monotonic() > deadline:
                raise TimeoutError("moto's server did not start")
            time.sleep(0.05)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moto", help="a Python that has moto[server]")
    arguments = parser.parse_args()
    _service()
    if arguments.moto:
        _moto(arguments.moto)


if __name__ == "__main__":
    main()
