"""What was acknowledged stays, through a kill in the midst of uploads and on a full disk."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from azure.storage.file import FileService

from batchai_recipes.service.files.app import files_app
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

MIB = 2**20
SERVE = (
    "import sys\n"
    "from pathlib import Path\n"
    "from batchai_recipes.service.app import Service, ServiceOptions\n"
    "from batchai_recipes.service.state_directory import StateDirectory\n"
    "options = ServiceOptions(StateDirectory(Path(sys.argv[1])), only_files=True,\n"
    "                         account_name='batchtest', account_key=sys.argv[2])\n"
    "print(Service(options).start().files_endpoint, flush=True)\n"
    "sys.stdin.read()\n"
)


def test_parallel_ranges_outlive_a_kill(server):
    """Each range and each file that was acknowledged before the kill has its bytes."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(server.state.root), server.account.key1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    endpoint = process.stdout.readline().strip()
    string = server.connection_string.partition("FileEndpoint=")[0] + f"FileEndpoint={endpoint};"
    threads, size, piece = 6, 64, 64 * 1024
    clients = [FileService(connection_string=string) for _ in range(threads)]
    for client in clients:
        client.retry = lambda _context: None
    clients[0].create_share("data")
    clients[0].create_file("data", None, "shared", threads * size * piece, metadata={"a": "b"})
    acknowledged: dict[int, bytes] = {}
    renamed: list[str] = []
    enough = threading.Event()

    def upload(worker):
        try:
            for number in range(worker, threads * size, threads):
                content = bytes([number % 251 + 1]) * piece
                start = number * piece
                clients[worker].update_range(
                    "data", None, "shared", content, start, start + piece - 1
                )
                acknowledged[number] = content
                clients[worker].create_file_from_bytes("data", None, f"f{number}", content[:100])
                renamed.append(f"f{number}")
                if len(acknowledged) > threads * 10:
                    enough.set()
        except Exception:  # noqa: BLE001 - the service was killed
            enough.set()

    workers = [threading.Thread(target=upload, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    assert enough.wait(60)
    process.send_signal(signal.SIGKILL)
    for worker in workers:
        worker.join()
    process.communicate()
    for client in clients:
        client.request_session.close()

    survivor = FileService(connection_string=server.connection_string)
    content = survivor.get_file_to_bytes("data", None, "shared").content
    assert len(acknowledged) >= threads * 10
    assert [
        n for n, data in acknowledged.items() if content[n * piece : (n + 1) * piece] != data
    ] == []
    assert survivor.get_file_metadata("data", None, "shared") == {"a": "b"}
    for name in renamed:
        expected = bytes([int(name[1:]) % 251 + 1]) * 100
        assert survivor.get_file_to_bytes("data", None, name).content == expected
    survivor.request_session.close()


@pytest.fixture
def small_disk(server, stage, tmp_path):
    """Shares on a disk of their own, of 4 MiB; records are on another one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("NOT TESTED on a disk that is really full: mounting one takes root")
    try:
        state = StateDirectory(tmp_path / "state")
        (state.shares).rmdir()
        state.shares.symlink_to(disk)
        yield state.shares
    finally:
        stage.service = None
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_is_really_full(server, small_disk):
    """Each write is refused with a clear code; what was there stays; deleting makes room again."""
    head = {"x-ms-type": "file", "x-ms-content-length": str(MIB)}
    assert server.signed("PUT", "/data?restype=share").status == 201
    for name in "abc":
        assert server.signed("PUT", f"/data/{name}", head, os.urandom(MIB)).status == 201
    kept = {name: server.signed("GET", f"/data/{name}").body for name in "abc"}
    big = {"x-ms-type": "file", "x-ms-content-length": str(8 * MIB)}
    assert server.signed("PUT", "/data/sparse", big).status == 201
    update = {"x-ms-write": "update", "x-ms-range": f"bytes=0-{2 * MIB - 1}"}
    source = {"x-ms-copy-source": f"{server.base}/batchtest/data/a"}

    replies = [
        server.signed("PUT", "/data/sparse?comp=range", update, os.urandom(2 * MIB)),
        server.signed("PUT", "/data/new", head, os.urandom(MIB)),
        server.signed("PUT", "/data/copy", source),
        server.signed("PUT", "/data?restype=share&comp=snapshot"),
    ]

    assert {(reply.status, reply.code) for reply in replies} == {(409, "InsufficientDiskSpace")}
    assert {name: server.signed("GET", f"/data/{name}").body for name in "abc"} == kept
    folder = server.folder("data")
    assert sorted(item.name for item in folder.iterdir()) == ["a", "b", "c", "sparse"]
    assert [item.name for item in folder.parent.iterdir() if item.name != "data"] in (
        [],
        [".snapshots"],
    )
    for name in ("sparse", "a"):
        assert server.signed("DELETE", f"/data/{name}").status == 202
    assert server.signed("PUT", "/data/new", head, os.urandom(MIB)).status == 201


def test_records_of_a_damaged_store_do_not_take_files_along(server, stage, client, share):
    """Where the records are lost, a new service leaves the folders alone."""
    client.create_file_from_text(share, None, "f", "precious")
    server.store.close()
    server.state.database.unlink()
    for extra in server.state.root.glob("state.db-*"):
        extra.unlink()

    server.store = Store(server.state.database)
    stage.service = files_app(state=server.state, store=server.store, clock=server.clock)

    assert (server.folder(share) / "f").read_text() == "precious"
