"""Sessions that are handed over to a service that is not the program's own."""

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from attrs import define, field

from batchai_recipes import (
    ClusterBuilder,
    Connection,
    ConnectionSettings,
    TrainingSession,
)
from batchai_recipes.pacing import Pacing
from batchai_recipes.settings import read_env_file

PATIENCE = 120.0
PROGRAM = """
import sys
from datetime import timedelta
from batchai_recipes import *

staging = FileShareStaging("data").upload("train.py")
cluster = ClusterBuilder("c").vm_size("STANDARD_D1").mount(staging, at="share")
job = CntkJobBuilder("j").script("$AZ_BATCHAI_MOUNT_ROOT/share/train.py")
with TrainingSession(cluster, staging=staging) as session:
    next(session.submit(job).stream())
    session.detach(timedelta(seconds=float(sys.argv[1])))
    print(session.id, flush=True)
    sys.stdin.read()  # the test kills this process here
"""


@define
class Served:
    """`batchai-recipes serve`, which can be killed and started again, and what it logs."""

    state_dir: Path
    env_file: Path
    process: subprocess.Popen | None = None
    lines: list[str] = field(factory=list)
    heard: threading.Condition = field(factory=threading.Condition)

    def start(self):
        """Start it, at the ports that it had before."""
        line = [sys.executable, "-m", "batchai_recipes.cli", "serve", "--log-level", "info"]
        line += ["--state-dir", str(self.state_dir), "--env-file", str(self.env_file)]
        if self.env_file.exists():
            known = read_env_file(self.env_file)
            for option, name in (
                ("management", "BATCHAI_ENDPOINT"),
                ("files", "BATCHAI_FILES_ENDPOINT"),
            ):
                line += [f"--{option}-port", str(urlsplit(known[name]).port)]
        self.process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for said in self.process.stdout:
            if said.startswith("Stop with"):
                break
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def kill(self):
        """End it with no chance to do anything."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def wait_for(self, text):
        """Wait until it has logged something."""
        with self.heard:
            assert self.heard.wait_for(
                lambda: any(text in line for line in self.lines), PATIENCE
            ), "".join(self.lines)

    def connect(self):
        """Connect as another machine does: by the settings alone."""
        return Connection(ConnectionSettings.from_file(self.env_file))

    def _listen(self, process):
        with process.stderr as said:
            for line in said:
                with self.heard:
                    self.lines.append(line)
                    self.heard.notify_all()


@pytest.fixture
def served(tmp_path):
    """A service of its own, as on another machine."""
    service = Served(tmp_path / "served", tmp_path / "served.env")
    service.start()
    yield service
    service.kill()


@pytest.fixture
def elsewhere(served, tmp_path, monkeypatch):
    """Be a machine that has nothing but the service's settings; return a connection."""
    monkeypatch.setenv("BATCHAI_RECIPES_STATE_DIR", str(tmp_path / "elsewhere"))
    with served.connect() as connection:
        yield connection


@pytest.fixture
def killed(served, environment, tmp_path):
    """Run a program that detaches its session for so many seconds, and kill it; tell the id."""

    def run(seconds):
        (tmp_path / "train.py").write_text("print('up', flush=True)\nimport time\ntime.sleep(600)")
        env = {**environment, "BATCHAI_RECIPES_ENV_FILE": str(served.env_file)}
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(seconds)],
            env=env,
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            session = process.stdout.readline().strip()
            process.kill()
        assert session
        return session

    return run


def left(connection):
    """Return what is on the service."""
    groups = [group.name for group in connection.resources.resource_groups.list()]
    return groups, [share.name for share in connection.files.list_shares()]


def wait_until_nothing_is_left(connection):
    """Wait for the end of what the service has begun when it says so: its group goes last."""
    pauses = Pacing(longest=0.2).pauses()
    while left(connection) != ([], []):
        next(pauses)


def test_the_service_ends_a_session_whose_process_was_killed(served, killed, elsewhere):
    """At its deadline, with its job, its share and its group, and nobody runs `reap`."""
    session = killed(1)
    served.wait_for(f"Session {session} is deleted")

    wait_until_nothing_is_left(elsewhere)
    assert [path for path in (served.state_dir / "jobs").rglob("*") if path.is_file()] == []


def test_a_service_that_was_killed_meanwhile_ends_it_too(served, killed, elsewhere):
    """It goes on as if it had been there all the time."""
    session = killed(3600)
    served.kill()
    served.start()
    assert left(elsewhere) == ([session], ["data"])
    with TrainingSession.attach(session, connection=elsewhere) as taken:
        assert taken.deadline is not None
        taken.detach(timedelta(seconds=1))
    served.kill()  # whether or not it has begun
    served.start()
    served.wait_for(f"Session {session} is deleted")

    wait_until_nothing_is_left(elsewhere)


def test_limits_are_kept_while_a_session_is_detached(served, elsewhere):
    """Its jobs and the session stay until they are taken up."""
    cluster = ClusterBuilder("c").vm_size("STANDARD_D1").idle_timeout(0.5)
    with TrainingSession(cluster, connection=elsewhere) as session:
        session.detach(timedelta(hours=1))
    served.wait_for("Deleting cluster c of session")
    served.kill()  # whether or not the cluster is gone by then
    served.start()
    place, pauses = session.names.workspace_place, Pacing(longest=0.2).pauses()
    while any("cluster.c" in tag for tag in elsewhere.batchai.workspaces.get(*place).tags):
        next(pauses)
    assert list(elsewhere.batchai.clusters.list_by_workspace(*place)) == []
    said = []
    with TrainingSession.attach(session.id, connection=elsewhere, report=said.append) as taken:
        assert taken.names.experiment == session.names.experiment

    assert any("Cluster c is gone: it has reached a limit (idle_timeout 0.5 s)" in s for s in said)
    assert left(elsewhere) == ([], [])


@pytest.mark.slow
def test_limits_are_kept_after_a_session_was_taken_up(served, elsewhere, tmp_path, monkeypatch):
    """On another machine, by the process that has it; not by the service."""
    cluster = ClusterBuilder("c").vm_size("STANDARD_D1").idle_timeout(3600).max_lifetime(25)
    with TrainingSession(cluster, connection=elsewhere) as session:
        session.detach(timedelta(hours=1))
    monkeypatch.setenv("BATCHAI_RECIPES_STATE_DIR", str(tmp_path / "third"))
    deleted = threading.Event()

    def report(line):
        if line == "Deleting cluster c: it has lived for 25 s (max_lifetime)":
            deleted.set()

    with (
        served.connect() as third,
        TrainingSession.attach(session.id, connection=third, report=report),
    ):
        assert deleted.wait(PATIENCE)

    assert left(elsewhere) == ([], [])
    assert not any("which no process has" in line for line in served.lines)


def test_a_session_in_a_workspace_of_others_keeps_its_limits(state_dir):
    """The service may not know of them, so the process does that keeps it up."""
    mine = ClusterBuilder("mine").vm_size("STANDARD_D1").idle_timeout(0.5)
    with Connection.embedded(state_dir) as connection:
        connection.resources.resource_groups.create_or_update("g", {"location": "eastus"})
        place = {"location": "eastus"}
        connection.batchai.workspaces.begin_create("g", "w", place).result()
        with TrainingSession(
            mine, connection=connection, resource_group="g", workspace="w", use_existing=True
        ) as session:
            session.detach(timedelta(hours=1))
        clusters = connection.batchai.clusters
        pauses = Pacing(longest=0.2).pauses()
        while list(clusters.list_by_workspace("g", "w")):
            next(pauses)
        said = []
        with TrainingSession.attach(session.id, connection=connection, report=said.append):
            pass
        assert [one.name for one in connection.batchai.workspaces.list()] == ["w"]
    assert any("Cluster mine is gone" in line for line in said)
