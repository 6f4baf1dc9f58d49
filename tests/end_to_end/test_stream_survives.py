"""A stream goes on over the death of the service, with every byte once."""

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from batchai_recipes import (
    ClusterBuilder,
    Connection,
    ConnectionSettings,
    FileShareStaging,
    Pacing,
    PyTorchJobBuilder,
    TrainingSession,
)

KILLS = 2
LINES = 150
# At each gate the log ends within a line, and within a character of it.
TRAIN = f"""
import os, sys, time
rank, share = os.environ["RANK"], sys.argv[1]
for gate in range({KILLS}):
    for n in range({LINES}):
        os.write(1, f"{{rank}}.{{gate}}.{{n}} née\\n".encode())
    os.write(1, b"half of n\\xc3")
    while not os.path.exists(f"{{share}}/go-{{gate}}"):
        time.sleep(0.01)
    os.write(1, b"\\xa9e\\n")
os.write(1, b"no end of line")
"""


class MortalService:
    """A service in a process of its own that is killed and comes back at the same addresses."""

    def __init__(self, folder):
        self.env_file = folder / "service.env"
        self._state_dir = folder / "state"
        self._ports = ["--management-port", "0", "--files-port", "0"]
        self._process = self._start()
        settings = ConnectionSettings.from_file(self.env_file)
        management, files = urlsplit(settings.endpoint), urlsplit(settings.storage.files_endpoint)
        ports = str(management.port), str(files.port)
        self._ports = ["--management-port", ports[0], "--files-port", ports[1]]

    def kill_and_restart(self):
        """Kill -9, and wait until it listens again."""
        self.kill()
        self.restart()

    def kill(self):
        """Kill -9."""
        self._process.send_signal(signal.SIGKILL)
        self._end()

    def restart(self):
        """Start it again, and wait until it listens."""
        self._process = self._start()

    def stop(self):
        """End it in the ordinary way."""
        self._process.terminate()
        self._end()

    def _start(self):
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "batchai_recipes.cli", "serve", *self._ports),
                *("--state-dir", str(self._state_dir), "--env-file", str(self.env_file)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        while (line := process.stdout.readline()) and not line.startswith("Stop with"):
            pass
        assert line, "the service did not start"
        return process

    def _end(self):
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def service(tmp_path):
    """A service of this test's own."""
    service = MortalService(tmp_path)
    yield service
    service.stop()


@contextmanager
def session_of(service, folder, train, pacing, report=str):
    """Give a connection to the service, a session on it, and a job that runs a script."""
    (folder / "train.py").write_text(train)
    staging = FileShareStaging("data").upload(folder / "train.py")
    cluster = ClusterBuilder("c").vm_size("STANDARD_D1").mount(staging, at="share")
    job = (
        PyTorchJobBuilder("j")
        .script("$AZ_BATCHAI_MOUNT_ROOT/share/train.py")
        .args("$AZ_BATCHAI_MOUNT_ROOT/share")
    )
    options = {"staging": staging, "pacing": pacing, "report": report}
    with (
        Connection(ConnectionSettings.from_file(service.env_file)) as connection,
        TrainingSession(cluster, connection=connection, **options) as session,
    ):
        yield connection, session, job


@pytest.mark.slow
def test_no_line_is_lost_or_doubled_when_the_service_is_killed(service, tmp_path):
    """Of two logs in one stream, killed twice within a character of both."""
    seen: list[str] = []
    kills = 0

    def sleep(seconds):
        """Nothing new is to be read: if both processes wait at the gate, kill and open it."""
        nonlocal kills
        last = f".{kills}.{LINES - 1} née"
        if kills < KILLS and sum(line.endswith(last) for line in seen) == 2:
            service.kill_and_restart()
            connection.files.create_file_from_bytes("data", None, f"go-{kills}", b"")
            kills += 1
        else:
            time.sleep(seconds)

    pacing = Pacing(longest=0.1, sleep=sleep)
    with session_of(service, tmp_path, TRAIN, pacing) as (connection, session, job):
        run = session.submit(job.processes(2))
        for line in run.stream("stdout-*.txt"):
            seen.append(line)  # noqa: PERF402 - `sleep` looks at it on the way
        assert run.wait().state == "succeeded"
        assert [change.state for change in run.events()] == ["queued", "running", "succeeded"]

    assert kills == KILLS
    for rank in (0, 1):
        name = f"stdout-{rank}.txt: "
        written = [
            line
            for gate in range(KILLS)
            for line in (*(f"{rank}.{gate}.{n} née" for n in range(LINES)), "half of née")
        ]
        mine = [line.removeprefix(name) for line in seen if line.startswith(name)]
        assert mine == [*written, "no end of line"]
    assert len(seen) == 2 * (KILLS * (LINES + 1) + 1)


WAITS = """
import os, sys, time
print("begun", flush=True)
while not os.path.exists(sys.argv[1] + "/go"):
    time.sleep(0.01)
print("ended", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("act", ["stream", "wait"])
def test_a_service_that_is_down_for_longer_than_the_clients_try_is_waited_for(
    service, tmp_path, act
):
    """It comes back when the run has asked several times, each with all the client's tries."""
    tries, said = 0, []

    def sleep(seconds):
        """Kill the service when the job runs, and let it come back after a while."""
        nonlocal tries
        down = any(line.startswith("Waiting up to") for line in said)
        if down:
            tries += 1
            if tries == 3:
                service.restart()
                connection.files.create_file_from_bytes("data", None, "go", b"")
        elif "Job state: running" in said and "killed" not in said:
            service.kill()
            said.append("killed")
        time.sleep(seconds)

    pacing = Pacing(sleep=sleep)
    with session_of(service, tmp_path, WAITS, pacing, said.append) as (connection, session, job):
        run = session.submit(job)
        if act == "stream":
            assert list(run.stream()) == ["begun", "ended"]
        assert run.wait().state == "succeeded"

    assert tries >= 3
    assert "The service answers again" in said
