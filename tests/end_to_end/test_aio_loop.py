"""The asynchronous twin keeps the event loop going, and cleans up whatever ends its tasks."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from azure.common import AzureException
from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest
from unmeasured import unmeasured

from batchai_recipes import ClusterBuilder, CustomJobBuilder, FileShareStaging
from batchai_recipes import Connection as Synchronous
from batchai_recipes.aio import Connection, TrainingSession
from batchai_recipes.aio.bridged_connection import BridgedConnection, opened
from batchai_recipes.aio.fiber import run
from batchai_recipes.staging.file_shares import Noted, shares_of

pytestmark = pytest.mark.slow
README = Path(__file__).parents[2] / "README.md"
LARGE = 9 << 20  # more than one range each way
SHARE = FileShareStaging("data")
CLUSTER = ClusterBuilder("c").vm_size("STANDARD_D1").nodes(1).mount(SHARE, at="share")
# What threads do for the twin: this machine's disk and processor, and the embedded service's start
# and stop. None of it is a request.
IN_THREADS = {
    "opened.<locals>.work",
    "LocalService.close",
    "LocalFile.sha256",
    "_read_and_hashed",
    "_read_into",
    "_Piece._write",
    "_digest",
    "Metrics.plot",
}


def job(name, command):
    """Return a job that runs a command line."""
    return CustomJobBuilder(name).output("OUT").command_line(command)


class Watch:
    """Sees what could keep the event loop's thread waiting, and what is done in other threads."""

    def __init__(self) -> None:
        self.blocking: list[str] = []
        self.requests_in_threads: list[str] = []
        self.in_threads: set[str] = set()
        self.requests = self.connections = 0
        self._loop_thread = threading.get_ident()

    @contextmanager
    def watching(self, patch) -> Iterator[None]:
        """Look at sockets, sleeps, processes and the loop's threads during the block."""
        with patch.context() as patched:
            for name in ("connect", "send", "sendall", "recv", "recv_into"):
                patched.setattr(socket.socket, name, self._socket(name))
            patched.setattr(time, "sleep", self._waiting("time.sleep", time.sleep))
            patched.setattr(
                subprocess.Popen, "wait", self._waiting("Popen.wait", subprocess.Popen.wait)
            )
            loop = asyncio.base_events.BaseEventLoop
            patched.setattr(loop, "run_in_executor", self._executor(loop.run_in_executor))
            yield

    def _socket(self, name):
        plain = getattr(socket.socket, name)

        def called(sock, *args, **kwargs):
            if sock.family == socket.AF_UNIX:
                return plain(sock, *args, **kwargs)  # how threads wake the loop
            if threading.get_ident() != self._loop_thread:
                self.requests_in_threads.append(name)
            elif sock.gettimeout() != 0:
                self.blocking.append(f"socket.{name}")
            self.requests += name == "send"
            self.connections += name == "connect"
            return plain(sock, *args, **kwargs)

        return called

    def _waiting(self, name, plain):
        def called(*args, **kwargs):
            if threading.get_ident() == self._loop_thread:
                self.blocking.append(name)
            return plain(*args, **kwargs)

        return called

    def _executor(self, plain):
        def called(loop, executor, function, *args):
            inner = function
            while isinstance(inner, partial):
                in_context = inner.func.__qualname__ == "Context.run"
                inner = inner.args[0] if in_context else inner.func
            self.in_threads.add(inner.__qualname__)
            return plain(loop, executor, function, *args)

        return called


def test_no_request_keeps_the_event_loop_waiting(state_dir, tmp_path, monkeypatch, nothing_left):
    """All go through sockets that do not block, in the loop's thread; threads use no socket."""
    (tmp_path / "large").write_bytes(bytes(range(256)) * (LARGE // 256))
    (tmp_path / "small").write_text("small")
    share = FileShareStaging("data").upload(tmp_path / "large", tmp_path / "small")

    async def story(connection):
        for _ in range(2):  # staged twice: the second time the files are compared
            session = TrainingSession(
                CLUSTER, staging=share, connection=connection, keep_outputs=True, max_lifetime=600
            )
            async with session:
                command = 'cp "$AZ_BATCHAI_MOUNT_ROOT/share/large" "$AZ_BATCHAI_OUTPUT_OUT"; '
                command += "echo loss 1; sleep 0.2"
                jobs = [job(f"j{number}", command) for number in range(2)]
                async for one in session.map(jobs):
                    files = await one.outputs("OUT").download(tmp_path / one.name)
                    assert [file.read_bytes() for file in files] == [
                        (tmp_path / "large").read_bytes()
                    ]
                lines = [line async for line in session.runs()[0].stream()]
                metrics = await session.runs()[0].metrics(r"loss (?P<loss>\d)")
            assert (lines, metrics["loss"]) == (["loss 1"], [1])
        await connection.files.delete_share("data")

    async def main():
        watch = Watch()
        async with Connection.embedded(state_dir) as connection:
            with watch.watching(monkeypatch):
                await story(connection)
        return watch

    watch = asyncio.run(main())
    assert (watch.blocking, watch.requests_in_threads) == ([], [])
    assert watch.requests > 50
    assert watch.connections < watch.requests / 5
    assert {"_read_and_hashed", "_read_into", "_digest"} & watch.in_threads
    assert watch.in_threads <= IN_THREADS
    nothing_left()


def test_the_readmes_example_for_coroutines(environment, tmp_path, nothing_left):
    """With ``async`` and ``await`` before the same names, it prints the same."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    train, example = [text for language, text in blocks if language == "python"][:2]
    (expected,) = [text for language, text in blocks if language == "text"][:1]
    (tmp_path / "train.py").write_text(train)
    plain, _, block = example.partition("with TrainingSession")
    block = "async with TrainingSession" + block
    for before, after in (
        ("session.submit(job)", "await session.submit(job)"),
        ("for line in run.stream", "async for line in run.stream"),
        ("run.wait()", "await run.wait()"),
        ('run.outputs("MODEL")', 'await run.outputs("MODEL")'),
    ):
        assert before in block
        block = block.replace(before, after)
    program = (
        plain.replace(", TrainingSession", "")
        + "import asyncio\nfrom batchai_recipes.aio import TrainingSession\n"
        + f"async def main():\n{textwrap.indent(block, '    ')}\nasyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    def without_states(output):
        return [one for one in output.splitlines() if not re.match(r"(Job|Cluster) state: ", one)]

    assert (done.returncode, done.stderr) == (0, "")
    assert without_states(done.stdout) == without_states(expected)
    nothing_left()


def test_both_clients_see_and_make_the_same_on_shares(state_dir, tmp_path):
    """azure-storage-file and azure-storage-file-share, each reading what the other wrote."""
    content = b"content" * 100

    def use(connection, mine, others):
        shares = shares_of(connection)
        told = [shares.noted(mine), shares.create(mine, {"whose": "nobody's"})]
        told += [shares.create(mine, {})]
        new = shares.noted(mine)
        shares.note(mine, Noted({"whose": "mine"}, new.etag))
        for late in (
            lambda: shares.note(mine, Noted({"whose": "others"}, new.etag)),
            lambda: shares.delete(mine, new.etag),
        ):
            with pytest.raises((AzureException, AzureError)) as refused:
                late()
            told.append(refused.value.status_code)
        told += [new.metadata, shares.noted(mine).metadata]
        files = shares.files(mine, 2)
        files.create_directory("d")
        files.create_directory("d")
        made = files.create_with("d/at once", content, "00ff")
        assert made.has_content
        assert files.etag("d/at once") == made.etag
        empty = files.create("in parts", len(content))
        etag = files.write("in parts", content, 0)
        assert len({empty, etag, files.set_hash("in parts", "00ff")}) == 3
        told += [files.list(""), files.list("d"), files.list("nowhere"), files.etag("nothing")]
        told += [files.read("in parts"), files.read("d/at once"), files.max_connections]
        beside, there = shares.noted(others), shares.files(others, 1)
        told += [files.range_size, beside and beside.metadata]
        if beside:
            assert there.read("in parts") == there.read("d/at once") == content
        shares.delete("nowhere")
        return told

    def without_etags(told):
        plain = []
        for one in told:
            if hasattr(one, "files"):
                plain.append((one.directories, {n: f.size for n, f in one.files.items()}))
                assert all(file.etag for file in one.files.values())
            else:
                plain.append(one)
        return plain

    async def asynchronously():
        bridged = await opened(lambda: BridgedConnection.embedded(state_dir))
        try:
            return await run(use, bridged, "second", "first")
        finally:
            await run(bridged.close)

    with Synchronous.embedded(state_dir) as connection:
        first = without_etags(use(connection, "first", "second"))
        second = without_etags(asyncio.run(asynchronously()))
        for share in ("first", "second"):
            shares_of(connection).delete(share)
    assert (first.pop(), second.pop()) == (None, {"whose": "mine"})
    assert first == second


@pytest.mark.parametrize("moment", ["Created file share", "Created job", "download"])
def test_a_time_limit_cleans_up(state_dir, tmp_path, nothing_left, moment):
    """While files are staged, a job runs or its outputs come."""
    (tmp_path / "large").write_bytes(bytes(LARGE))
    share = FileShareStaging("data").upload(tmp_path / "large")

    async def main():
        reached = asyncio.Event()

        def report(line):
            if line.startswith(moment):
                reached.set()

        async def work(connection):
            session = TrainingSession(CLUSTER, staging=share, connection=connection, report=report)
            async with session:
                run = await session.submit(job("j", "head -c 40000000 /dev/urandom >$HOME/big"))
                if moment != "download":
                    await asyncio.Event().wait()
                done = await session.submit(
                    job("k", 'head -c 40000000 /dev/zero >"$AZ_BATCHAI_OUTPUT_OUT/big"')
                )
                await done.wait()
                reached.set()
                await done.outputs("OUT").download(tmp_path / "out")
                await asyncio.Event().wait()
                return run

        async with Connection.embedded(state_dir) as connection:
            task = asyncio.create_task(work(connection))
            await reached.wait()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(task, 0)
            assert [g async for g in connection.resources.resource_groups.list()] == []
            assert not list((tmp_path / "out").glob(".batchai-*"))

    asyncio.run(main())
    nothing_left()


PROGRAM = """
import asyncio, sys
from batchai_recipes import ClusterBuilder, CustomJobBuilder, FileShareStaging
from batchai_recipes.aio import TrainingSession

step = sys.argv[1]

def report(line):
    print(line, flush=True)
    if line.startswith(step):
        print("here", flush=True)
        sys.stdin.readline()

async def main():
    share = FileShareStaging("data")
    cluster = ClusterBuilder("c").vm_size("STANDARD_D1").nodes(1).mount(share, at="share")
    async with TrainingSession(cluster, staging=share, report=report) as session:
        run = await session.submit(CustomJobBuilder("j").command_line("echo up; sleep 600"))
        async for line in run.stream():
            report(line)

asyncio.run(main())
"""


def started(environment, step):
    """Start a program that waits for a line when it is at a step."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, step],
        env=unmeasured(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.stdout.readline().strip() != "here":
        assert process.poll() is None
    return process


@pytest.mark.parametrize("step", ["Created workspace", "Created job", "up"])
def test_a_killed_program_is_reaped(environment, command, nothing_left, step):
    """By kill -9, at any step."""
    with started(environment, step) as process:
        process.kill()
    first, second = command("reap"), command("reap")

    assert (first.returncode, first.stderr) == (0, "")
    assert "gone) left: " in first.stdout
    assert second.stdout == "No session has left anything\n"
    nothing_left()


def test_ctrl_c_again_and_again_cleans_up(environment, nothing_left):
    """The second and the third arrive while the first one's clean-up is under way."""
    with started(environment, "up") as process:
        process.send_signal(signal.SIGINT)
        process.stdin.write("\n")
        process.stdin.flush()
        told = []
        for line in process.stdout:
            told.append(line.strip())
            if line.startswith("Deleting"):
                process.send_signal(signal.SIGINT)
        errors = process.stderr.read()

    assert told[-1] == "Still cleaning up; the signal takes effect after it" or told[-1].startswith(
        "Deleting resource group"
    )
    assert "KeyboardInterrupt" in errors
    assert process.returncode != 0
    nothing_left()


def test_a_connection_sends_requests_of_its_callers(state_dir):
    """Each client is asynchronous, and all are closed with the connection."""

    async def main():
        async with Connection.embedded(state_dir) as connection:
            url = f"{connection.storage.files_endpoint}/nowhere/nothing"
            answer = await connection.downloads.send_request(HttpRequest("GET", url))
            await connection.files.create_share("mine")
            names = [share.name async for share in connection.files.list_shares()]
            await connection.files.delete_share("mine")
        return answer.status_code >= 400, names, repr(connection)

    assert asyncio.run(main()) == (True, ["mine"], "aio.Connection(not open)")
