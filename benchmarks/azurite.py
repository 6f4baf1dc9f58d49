"""Azurite's blobs as a peer of the file shares.

Its client runs in a process, and in a Python, of its own: ``python azurite.py PORT``, which has
azure-storage-blob.
"""

import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

BLOB_ACCOUNT = "devstoreaccount1"
BLOB_KEY = base64.b64encode(b"a key that only this benchmark uses").decode()


def carry_out(port: int) -> None:
    """Carry out what is asked on standard input; answer with the seconds it took."""
    from azure.storage.blob import BlobServiceClient, generate_blob_sas  # noqa: PLC0415 - not there on the other side

    client = BlobServiceClient(f"http://127.0.0.1:{port}/{BLOB_ACCOUNT}", credential=BLOB_KEY)
    container = client.create_container("data")

    def up(name: str, path: Path, connections: int) -> None:
        with path.open("rb") as stream:
            container.upload_blob(name, stream, overwrite=True, max_concurrency=connections)

    def down(name: str, path: Path, connections: int) -> None:
        with path.open("wb") as stream:
            container.download_blob(name, max_concurrency=connections).readinto(stream)

    def each(action: Callable[..., None], folder: Path, names: list[str], threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda name: action(name, folder / name, 1), names))

    def sas() -> str:
        container.upload_blob("kilobyte", os.urandom(1000), overwrite=True)
        expiry = datetime.now(timezone.utc) + timedelta(days=1)
        token = generate_blob_sas(
            BLOB_ACCOUNT, "data", "kilobyte", account_key=BLOB_KEY, permission="r", expiry=expiry
        )
        return f"http://127.0.0.1:{port}/{BLOB_ACCOUNT}/data/kilobyte?{token}"

    print(sas(), flush=True)
    for line in sys.stdin:
        what, folder, names, connections = json.loads(line)
        action = up if what.startswith("up") else down
        began = time.perf_counter()
        if what.endswith("each"):
            each(action, Path(folder), names, connections)
        else:
            action(names[0], Path(folder, names[0]), connections)
        print(time.perf_counter() - began, flush=True)


class Azurite:
    """Azurite's blob service and the process that drives it.

    Args:
        command: ``azurite-blob``.
        python: A Python that has azure-storage-blob.
        folder: Where it keeps its blobs.
    """

    def __init__(self, command: str, python: str, folder: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        options = ["--blobPort", str(port), "--location", str(folder), "--silent"]
        options += ["--skipApiVersionCheck", "--disableTelemetry"]
        environment = {**os.environ, "AZURITE_ACCOUNTS": f"{BLOB_ACCOUNT}:{BLOB_KEY}"}
        self._service = subprocess.Popen(
            [command, *options], env=environment, stdout=subprocess.DEVNULL
        )
        _wait_for(port)
        self._client = subprocess.Popen(
            [python, __file__, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._client.stdout
        self.kilobyte = self._client.stdout.readline().strip()

    def seconds(self, what: str, folder: Path, names: list[str], connections: int) -> float:
        """Let it do something; return the seconds that took."""
        assert self._client.stdin
        assert self._client.stdout
        self._client.stdin.write(f"{json.dumps([what, str(folder), names, connections])}\n")
        self._client.stdin.flush()
        return float(self._client.stdout.readline())

    def close(self) -> None:
        """Stop both."""
        for process in (self._client, self._service):
            process.terminate()
            process.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    with socket.socket() as attempt:
        while attempt.connect_ex(("127.0.0.1", port)) != 0:
            if time.monotonic() > deadline:
                raise TimeoutError("Azurite did not start")
            time.sleep(0.05)


if __name__ == "__main__":
    carry_out(int(sys.argv[1]))
