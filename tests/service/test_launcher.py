"""The embedded service as a process: started, shared, stopped."""

import os
import select
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from batchai_recipes.service.launcher import LaunchError, LocalService
from batchai_recipes.service.state_directory import StateDirectory


def is_running(pid: int) -> bool:
    """Tell whether a process is there and not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for_end(pid: int) -> None:
    """Wait until a process has ended, which the kernel signals."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ended, _, _ = select.select([descriptor], [], [], 30)
        assert ended, f"process {pid} did not end"
    finally:
        os.close(descriptor)


def test_it_stops_with_its_only_user(tmp_path):
    """No process and no address are left."""
    service = LocalService(tmp_path)
    pid = service.address.pid
    assert is_running(pid)
    service.close()

    assert not is_running(pid)
    assert not StateDirectory(tmp_path).address.exists()


def test_users_of_one_state_directory_share_one_service(tmp_path):
    """It stays until the last of them has gone, whoever started it."""
    first = LocalService(tmp_path)
    second = LocalService(tmp_path)
    pid = second.address.pid
    first.close()

    assert is_running(pid)
    assert first.address == second.address
    second.close()
    wait_for_end(pid)


def test_it_stops_when_its_user_is_killed(tmp_path):
    """The operating system drops the user's lock, which is all that the service waits for."""
    program = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from batchai_recipes.service.launcher import LocalService
        service = LocalService(Path({str(tmp_path)!r}))
        print(service.address.pid, flush=True)
        sys.stdin.read()
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdout is not None
        pid = int(user.stdout.readline())
        user.kill()
    wait_for_end(pid)

    assert not is_running(pid)


def test_it_stops_although_its_state_directory_was_deleted(tmp_path):
    """A test's temporary folder may go before the program that used it."""
    service = LocalService(tmp_path / "state")
    pid = service.address.pid
    while (tmp_path / "state").exists():  # the service may be writing meanwhile
        shutil.rmtree(tmp_path / "state", ignore_errors=True)
    service.close()
    wait_for_end(pid)

    assert not is_running(pid)


def test_a_killed_service_is_started_again_as_the_same_one(tmp_path):
    """Its credentials and records are kept; its stale address is not believed."""
    first = LocalService(tmp_path)
    os.kill(first.address.pid, signal.SIGKILL)
    wait_for_end(first.address.pid)
    assert StateDirectory(tmp_path).address.exists()
    second = LocalService(tmp_path)
    try:
        assert second.address.pid != first.address.pid
        assert second.address.client_id == first.address.client_id
        assert is_running(second.address.pid)
    finally:
        second.close()
        first.close()


def test_files_that_hold_secrets_are_their_owners_alone(tmp_path):
    """Whatever the umask says."""
    previous = os.umask(0)
    try:
        service = LocalService(tmp_path / "state")
    finally:
        os.umask(previous)
    try:
        state = StateDirectory(tmp_path / "state")
        open_files = [
            path
            for path in (
                state.root,
                state.credentials,
                state.address,
                *state.certificates.iterdir(),
            )
            if path.stat().st_mode & 0o077 and path.suffix != ".crt" and "ca" not in path.name
        ]
        assert open_files == []
    finally:
        service.close()


def test_a_damaged_state_is_an_error_that_says_so(tmp_path):
    """And nothing is overwritten."""
    state = StateDirectory(tmp_path)
    state.create()
    state.credentials.write_text("{}")

    with pytest.raises(LaunchError, match=r"credentials.json is damaged"):
        LocalService(tmp_path)
    assert state.credentials.read_text() == "{}"


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    """The service could not even write what it lacks."""
    state = StateDirectory(tmp_path)
    state.create()
    state.credentials.write_text("{}")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=4096))

    with pytest.raises(LaunchError, match="no room on the disk of .*: make some, or name another"):
        LocalService(tmp_path)


def test_a_state_directory_that_cannot_be_made_is_an_error(tmp_path):
    """With the variable that names another."""
    (tmp_path / "file").write_text("")

    with pytest.raises(LaunchError, match="Not a directory; .*BATCHAI_RECIPES_STATE_DIR"):
        LocalService(tmp_path / "file" / "state")
    with pytest.raises(LaunchError, match="it is no text in UTF-8; .*BATCHAI_RECIPES_STATE_DIR"):
        LocalService(tmp_path / "caf\udce9")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_state_directory_that_cannot_be_locked_is_an_error(tmp_path):
    """As when it is another user's."""
    state = StateDirectory(tmp_path)
    for lock in (state.launch_lock, state.users):
        lock.mkdir()
        with pytest.raises(LaunchError, match=f"{lock.name}.*BATCHAI_RECIPES_STATE_DIR"):
            LocalService(tmp_path)
        lock.rmdir()


def test_a_damaged_address_is_an_error_that_says_so(tmp_path):
    """While the service runs, whoever comes next is told which file it is."""
    first = LocalService(tmp_path)
    try:
        StateDirectory(tmp_path).address.write_text("{")
        with pytest.raises(LaunchError, match="service.json is damaged"):
            LocalService(tmp_path)
    finally:
        first.close()
