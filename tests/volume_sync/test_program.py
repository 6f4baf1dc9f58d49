"""The program itself, run as the service runs it."""

import contextlib
import json
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import pytest
from attrs import asdict

from batchai_recipes.volume_sync.request import SyncRequest
from batchai_recipes.volume_sync.synchronisation import Synchronisation

PATIENCE_SECONDS = 30


@pytest.fixture
def control(tmp_path):
    """The folder of the request and the result."""
    folder = tmp_path / "control"
    folder.mkdir()
    return folder


@pytest.fixture
def started(control):
    """Start the program with a request; killed at the end if it still runs."""
    processes = []

    def start(action, *volumes, **settings):
        documents = [asdict(volume) | {"folder": str(volume.folder)} for volume in volumes]
        request = {"action": action, "volumes": documents, **settings}
        (control / "request.json").write_text(json.dumps(request))
        command = [sys.executable, "-m", "batchai_recipes.volume_sync", str(control)]
        # A session of its own, as the supervisor gives it.
        processes.append(subprocess.Popen(command, start_new_session=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def result(control):
    """Return what the program says of its end."""
    return json.loads((control / "result.json").read_text())["message"]


def arrives(end, path, content):
    """Wait until a file is at the other end; tell whether it came."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while end.get(path) != content and time.monotonic() < deadline:
        select.select([], [], [], 0.05)
    return end.get(path) == content


def test_a_copy_in_removes_the_request_and_tells_the_log(share, volume_of, started, control):
    """The request holds a key; the log holds none."""
    share.put("a/b.txt", b"x")
    volume = volume_of(share)
    log = volume.folder / "data" / "logs" / "execution.log"
    process = started("copy-in", volume, log=str(log), notes=["mount option -x is ignored"])
    assert process.wait() == 0
    assert sorted(path.name for path in control.iterdir()) == ["result.json"]
    assert (result(control), (volume.folder / "data/a/b.txt").read_bytes()) == ("", b"x")
    text = log.read_text()
    assert "mount option -x is ignored" in text
    assert f"(share '{share.name}' of account '{share.account}'): copied in 1 files" in text
    assert share.key not in text
    assert (volume.folder / "ready").exists()


def test_following_copies_back_while_a_job_writes_and_once_more_at_its_end(
    share, volume_of, started, control
):
    """Also what is logged last."""
    volume = volume_of(share)
    data = volume.folder / "data"
    log = data / "execution.log"
    process = started("follow", volume, log=str(log), interval_seconds=0.05)
    (data / "stdout.txt").write_text("one\n")
    assert arrives(share, "stdout.txt", b"one\n")
    with (data / "stdout.txt").open("a") as file:
        file.write("two\n")
    (control / "finish").touch()
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    assert share.get("stdout.txt") == b"one\ntwo\n"
    assert b"copied back" in share.get("execution.log")


def test_a_request_to_finish_before_it_listens_is_not_missed(share, volume_of, started, control):
    """The file tells, without a signal."""
    volume = volume_of(share)
    (volume.folder / "data" / "file").write_bytes(b"x")
    (control / "finish").touch()
    assert started("follow", volume, interval_seconds=600).wait() == 0
    assert share.get("file") == b"x"


def test_what_cannot_be_copied_back_fails_and_stays(share, volume_of, started, control):
    """Nothing that was not copied is removed."""
    volume = volume_of(share)
    (volume.folder / "data" / "a:b").write_bytes(b"x")
    (volume.folder / "data" / "fine").write_bytes(b"x")
    assert started("copy-back", volume).wait() == 1
    assert "a:b" in result(control)
    assert (volume.folder / "data" / "a:b").exists()
    assert share.get("fine") == b"x"


def test_without_a_request_it_says_so(control):
    """And touches nothing."""
    command = [sys.executable, "-m", "batchai_recipes.volume_sync", str(control)]
    assert subprocess.run(command, check=False).returncode == 2
    assert "cannot be read" in result(control)


def test_an_endpoint_that_comes_back_is_waited_for(share, volume_of, control):
    """The last copy back does not give up at once."""
    away = socket.create_server(("127.0.0.1", 0))
    port = away.getsockname()[1]
    away.close()
    there = urlsplit(share.endpoint)
    endpoint = f"http://127.0.0.1:{port}{there.path}"
    volume = volume_of(share, endpoint=endpoint)
    (volume.folder / "data" / "file").write_bytes(b"x")
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        threading.Thread(target=forward, args=(port, there.port), daemon=True).start()

    assert Synchronisation(SyncRequest("copy-back", (volume,)), control, pause).run()
    assert pauses == [1.0]
    assert share.get("file") == b"x"


def test_an_endpoint_that_does_not_come_back_is_given_up(share, volume_of, control):
    """With what was in the way."""
    volume = volume_of(share, endpoint="http://127.0.0.1:9/account")
    request = SyncRequest("copy-back", (volume,), patience_seconds=0)
    assert not Synchronisation(request, control).run()
    assert "cannot be reached" in result(control)


def forward(port, to):
    """Pass on what comes to a port."""
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            ours, theirs = server.accept()[0], socket.create_connection(("127.0.0.1", to))
            for pair in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=pump, args=pair, daemon=True).start()


def pump(source, target):
    """Copy bytes until one side has closed."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
