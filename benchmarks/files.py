"""File shares beside Azurite's blobs, the plain client and ``cp``, in one run.

Everything is asked of each peer in turn, round after round, and the median of the rounds is told
with its ratio. Azurite has no file shares, so its blobs are the nearest peer: ``--azurite`` names
its ``azurite-blob`` and ``--azurite-python`` a Python with azure-storage-blob. ``wrk`` measures the
requests per second where it is installed.

    python benchmarks/files.py --azurite node_modules/.bin/azurite-blob --azurite-python PYTHON
"""

import argparse
import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

CONNECTIONS = (1, 4, 8)
MB = 10**6
_TOUCHED = 10
"""How many large files a round's rows hold at a time, and more."""
BLOB_ACCOUNT = "devstoreaccount1"
BLOB_KEY = base64.b64encode(b"a key that only this benchmark uses").decode()
JOB = """
import shutil, sys
from pathlib import Path
large, small, source = map(Path, sys.argv[1:])
shutil.copyfile(source / "large", large / "large")
shutil.copytree(source / "small", small, dirs_exist_ok=True)
"""


class Table:
    """The seconds that each row took, round after round."""

    def __init__(self) -> None:
        self.taken: dict[tuple[str, str], list[float]] = {}

    def note(self, row: str, who: str, seconds: float) -> None:
        """Take a measurement."""
        self.taken.setdefault((row, who), []).append(seconds)

    def timed(self, row: str, who: str, action: Callable[[], object]) -> None:
        """Measure an action."""
        began = time.perf_counter()
        action()
        self.note(row, who, time.perf_counter() - began)

    def print(self, amounts: dict[str, tuple[float, str]], versus: str) -> None:
        """Print the medians in the unit of each row, with ratios."""
        print("| what | who | median | beside |\n| --- | --- | --- | --- |")
        for (row, who), seconds in self.taken.items():
            amount, unit = amounts[row]
            rate = (
                amount / statistics.median(seconds) if unit != "s" else statistics.median(seconds)
            )
            other = self.taken.get((row, versus))
            ratio = ""
            if other and who != versus:
                ratio = f"{statistics.median(other) / statistics.median(seconds):.2f} x {versus}"
            print(f"| {row} | {who} | {rate:,.{2 if unit == 's' else 0}f} {unit} | {ratio} |")


# --- Azurite's side: runs in a Python of its own -------------------------------------------------


def blob_peer(port: int) -> None:
    """Carry out what is asked on standard input; answer with the seconds it took."""
    from azure.storage.blob import BlobServiceClient, generate_blob_sas  # noqa: PLC0415 - this peer alone

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
            [python, __file__, "--blob-peer", str(port)],
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


# --- ours ----------------------------------------------------------------------------------------


class Ours:
    """A session with a job whose outputs are what is downloaded, and shares to stage to.

    Args:
        source: The folder with ``large`` and ``small``.
        folder: Where the service keeps its state.
    """

    def __init__(self, source: Path, folder: Path) -> None:
        from batchai_recipes import (  # noqa: PLC0415 - not there on the other side
            ClusterBuilder,
            CntkJobBuilder,
            Connection,
            FileShareStaging,
            TrainingSession,
        )
        from batchai_recipes.staging.upload import create_share, upload  # noqa: PLC0415 - likewise

        self._staging, self._create_share, self._upload = FileShareStaging, create_share, upload
        self._exits = contextlib.ExitStack()
        self._count = 0
        script = source.with_name("copy.py")
        script.write_text(JOB)
        self.connection = self._exits.enter_context(Connection.embedded(folder))
        staging = FileShareStaging("job").directory("code").upload(script)
        job = (
            CntkJobBuilder("copy")
            .input("CODE", staging.mounted("code"))
            .output("LARGE", suffix="large")
            .output("SMALL", suffix="small")
            .script("$AZ_BATCHAI_INPUT_CODE/copy.py")
            .args("$AZ_BATCHAI_OUTPUT_LARGE", "$AZ_BATCHAI_OUTPUT_SMALL", str(source))
        )
        cluster = ClusterBuilder("c").vm_size("STANDARD_NC6").nodes(1).mount(staging, at="share")
        session = TrainingSession(
            cluster,
            staging=staging,
            connection=self.connection,
            resource_group="benchmark",
            workspace="files",
            experiment="files",
        )
        self._exits.enter_context(session)
        self._run = session.submit(job)
        self._run.wait()

    def staging(self, share: str, connections: int) -> Any:
        """Return an empty staging."""
        return self._staging(share, max_connections=connections)

    def new_share(self) -> str:
        """Make a share that is empty."""
        self._count += 1
        name = f"share{self._count}"
        self._create_share(self.connection, name)
        return name

    def stage(self, staging: Any) -> None:
        """Stage, as a session does on entering."""
        self._upload(self.connection, staging, lambda _: None)

    def download(self, output: str, target: Path, connections: int) -> None:
        """Download the outputs of the job."""
        self._run.outputs(output).download(target, max_connections=connections)

    def kilobyte(self) -> str:
        """Return the address, with a SAS, of a file of 1,000 bytes."""
        from azure.storage.file.models import FilePermissions  # noqa: PLC0415 - likewise

        files, share = self.connection.files, self.new_share()
        files.create_file_from_bytes(share, None, "kilobyte", os.urandom(1000))
        token = files.generate_file_shared_access_signature(
            share,
            None,
            "kilobyte",
            permission=FilePermissions.READ,
            expiry=datetime.now(timezone.utc) + timedelta(days=1),
        )
        return f"{self.connection.storage.share_url(share)}/kilobyte?{token}"

    def close(self) -> None:
        """End the session and the service."""
        self._exits.close()


# --- rows ----------------------------------------------------------------------------------------


class Benchmark:
    """One run.

    Args:
        work: A folder to work in.
        arguments: The options.
    """

    def __init__(self, work: Path, arguments: argparse.Namespace) -> None:
        self.work = work
        self.source = work / "source"
        self.table = Table()
        self.files = arguments.files
        self.size = arguments.megabytes * MB
        small = self.source / "small"
        small.mkdir(parents=True)
        self.names = [f"file{number:04}" for number in range(arguments.files)]
        for name in self.names:
            (small / name).write_bytes(os.urandom(4096))
        with (self.source / "large").open("wb") as stream:
            for _ in range(arguments.megabytes):
                stream.write(os.urandom(MB))
        self.ours = Ours(self.source, work / "state")
        self.azurite = (
            Azurite(arguments.azurite, arguments.azurite_python, work / "azurite")
            if arguments.azurite
            else None
        )

    def close(self) -> None:
        """Stop the services."""
        if self.azurite:
            self.azurite.close()
        self.ours.close()

    @contextlib.contextmanager
    def target(self) -> Iterator[Path]:
        """Make a folder for downloads, and remove it."""
        target = self.work / "target"
        target.mkdir()
        try:
            yield target
        finally:
            shutil.rmtree(target)

    def _touch_memory(self) -> None:
        """Write and delete as much as the rows of a round hold at most.

        A virtual machine pays for memory that it has not used before, or not for a while, with a
        multiple of a copy's time. Without this the first row of a round would pay for all others.
        """
        path = self.work / "touched"
        block = os.urandom(MB)
        with path.open("wb") as stream:
            for _ in range(_TOUCHED * self.size // MB):
                stream.write(block)
        path.unlink()

    def large(self) -> None:
        """One large file, up and down."""
        self._touch_memory()
        for connections in CONNECTIONS:
            self._large(connections)
        with self.target() as target:
            self.table.timed("large file, cp and MD5", "limit", partial(self._copy_and_sum, target))

    def _large(self, connections: int) -> None:
        up, down = (f"large file {way}, {connections} connections" for way in ("up", "down"))
        large, files, share = (
            self.source / "large",
            self.ours.connection.files,
            self.ours.new_share(),
        )
        staging = self.ours.staging(share, connections).upload(large)
        self.table.timed(up, "FileShareStaging", partial(self.ours.stage, staging))
        self.table.timed(
            up,
            "azure-storage-file",
            partial(
                files.create_file_from_path,
                share,
                None,
                "plain",
                str(large),
                max_connections=connections,
            ),
        )
        with self.target() as target:
            self.table.timed(
                down,
                "JobOutput.download",
                partial(self.ours.download, "LARGE", target, connections),
            )
            assert (target / "large").stat().st_size == self.size
        with self.target() as target:
            path = str(target / "large")
            self.table.timed(
                down,
                "azure-storage-file",
                partial(
                    files.get_file_to_path,
                    share,
                    None,
                    "large",
                    path,
                    max_connections=connections,
                ),
            )
        files.delete_share(share)
        self._beside(up, "up", self.source, ["large"], connections)
        with self.target() as target:
            self._beside(down, "down", target, ["large"], connections)

    def _beside(
        self, row: str, what: str, folder: Path, names: list[str], connections: int
    ) -> None:
        if self.azurite:
            seconds = self.azurite.seconds(what, folder, names, connections)
            self.table.note(row, "Azurite", seconds)

    def _copy_and_sum(self, target: Path) -> None:
        subprocess.run(["cp", str(self.source / "large"), str(target)], check=True)
        with (self.source / "large").open("rb") as stream:
            digest = hashlib.md5(usedforsecurity=False)
            while block := stream.read(1 << 20):
                digest.update(block)

    def small(self) -> None:
        """Many small files, up, again, and down."""
        for connections in (1, 8):
            self._small(connections)
        share = self.ours.new_share()
        self.table.timed("small files up, 1 at a time", "plain client", partial(self._plain, share))
        self.ours.connection.files.delete_share(share)
        with self.target() as target:
            command = ["cp", "-r", str(self.source / "small"), str(target)]
            self.table.timed(
                "small files, cp -r", "limit", partial(subprocess.run, command, check=True)
            )

    def _small(self, connections: int) -> None:
        up, down = (f"small files {way}, {connections} at a time" for way in ("up", "down"))
        share, tree = self.ours.new_share(), self.source / "small"
        staging = self.ours.staging(share, connections).upload_tree(tree)
        again = "small files again, unchanged"
        for row in (up, again):
            self.table.timed(row, "FileShareStaging", partial(self.ours.stage, staging))
        self.ours.connection.files.delete_share(share)
        with self.target() as target:
            self.table.timed(
                down,
                "JobOutput.download",
                partial(self.ours.download, "SMALL", target, connections),
            )
            assert len(list(target.iterdir())) == self.files
        self._beside(up, "up each", tree, self.names, connections)
        with self.target() as target:
            self._beside(down, "down each", target, self.names, connections)

    def _plain(self, share: str) -> None:
        for name in self.names:
            path = str(self.source / "small" / name)
            self.ours.connection.files.create_file_from_path(share, None, name, path)

    def requests(self, wrk: str, seconds: int) -> None:
        """Download a kilobyte over and over, with a SAS."""
        urls = {"this service": self.ours.kilobyte()}
        if self.azurite:
            urls["Azurite"] = self.azurite.kilobyte
        for connections in (1, 8, 16):
            for who, url in urls.items():
                command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", url]
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                assert "Non-2xx" not in said, said
                rate = re.search(r"Requests/sec:\s+([0-9.]+)", said)
                assert rate
                self.table.note(
                    f"1 KB with SAS, {connections} connections", who, 1 / float(rate[1])
                )

    def print(self) -> None:
        """Print the table."""
        amounts = {}
        for row, _ in self.table.taken:
            if row.startswith("large"):
                amounts[row] = (self.size / MB, "MB/s")
            elif row.startswith("1 KB"):
                amounts[row] = (1, "requests/s")
            else:
                amounts[row] = (self.files, "s" if "again" in row else "files/s")
        self.table.print(amounts, "Azurite")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--azurite", help="Azurite's azurite-blob; without it, no peer is measured")
    parser.add_argument("--azurite-python", default=sys.executable, help="has azure-storage-blob")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=111, help="of the large file")
    parser.add_argument("--files", type=int, default=1000, help="how many small files")
    parser.add_argument("--seconds", type=int, default=3, help="of each wrk run")
    parser.add_argument("--only", choices=["large", "small", "requests"])
    parser.add_argument("--blob-peer", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.blob_peer:
        blob_peer(arguments.blob_peer)
        return
    with tempfile.TemporaryDirectory() as folder:
        benchmark = Benchmark(Path(folder), arguments)
        wrk = shutil.which("wrk")
        try:
            for _ in range(arguments.rounds):
                if arguments.only in {None, "large"}:
                    benchmark.large()
                if arguments.only in {None, "small"}:
                    benchmark.small()
                if arguments.only in {None, "requests"} and wrk:
                    benchmark.requests(wrk, arguments.seconds)
        finally:
            benchmark.close()
            benchmark.print()


if __name__ == "__main__":
    main()
