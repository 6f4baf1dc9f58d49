"""A real service on loopback, and proof that nothing of it is left."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked_programs import COMMAND, ForkedPrograms
from job_files import SCHEMA
from toolkit_bench import NODES, Bench
from unmeasured import unmeasured

from batchai_recipes import (
    ClusterBuilder,
    CntkJobBuilder,
    Connection,
    FileShareStaging,
    TrainingSession,
    cli,
)

TABLES = (
    *("resources", "clusters", "nodes", "jobs", "job_nodes"),
    *("operations", "shares", "file_entries"),
)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """The state directory of one test."""
    return tmp_path / "state"


@pytest.fixture
def environment(tmp_path: Path, state_dir: Path) -> dict[str, str]:
    """The environment of a user who has configured nothing."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AZURE_", "BATCHAI_"))
    }
    cache = tmp_path / "cache"
    return {
        **plain,
        "BATCHAI_RECIPES_STATE_DIR": str(state_dir),
        "BATCHAI_RECIPES_PROFILE_FILE": os.devnull,
        "XDG_CACHE_HOME": str(cache),
        "PYTHONUNBUFFERED": "1",
        # Trainings beside each other would spend their time waiting for each other's threads.
        "OMP_NUM_THREADS": "1",
        # A downloaded data set would make the tests depend on the network.
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }


@pytest.fixture
def connection(state_dir: Path) -> Iterator[Connection]:
    """A connection to an embedded service of this test's own."""
    with Connection.embedded(state_dir) as connection:
        yield connection


@pytest.fixture
def command(environment: dict[str, str], forked: ForkedPrograms):
    """Run `batchai-recipes` to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return forked.run(COMMAND, *arguments, environment=environment)

    return run


class Recipe:
    """A cluster with a share, and jobs on it that run one Python program."""

    def __init__(self, folder: Path, program: str) -> None:
        folder.mkdir(exist_ok=True)
        script = folder / "train.py"
        script.write_text(program)
        self.staging = FileShareStaging("data").directory("code").upload(script)
        self.cluster = (
            ClusterBuilder("mycluster").vm_size("STANDARD_D1").mount(self.staging, at="share")
        )
        self.job = (
            CntkJobBuilder("myjob")
            .input("CODE", self.staging.mounted("code"))
            .output("MODEL", suffix="Models")
            .script("$AZ_BATCHAI_INPUT_CODE/train.py")
        )


@pytest.fixture
def recipe(tmp_path: Path):
    """Make a recipe of a Python program."""
    return lambda program: Recipe(tmp_path / "code", program)


@pytest.fixture
def killed(request, environment, tmp_path, forked):
    """Run the session of a module's PROGRAM in a process of its own, and kill it at a step."""

    def kill(step, *arguments):
        (tmp_path / "train.py").write_text("import time\nprint('up')\ntime.sleep(600)\n")
        program, variables = request.module.PROGRAM, unmeasured(environment)
        with forked.start(
            program, step, *arguments, environment=variables, cwd=tmp_path
        ) as process:
            for line in process.stdout:
                if line.startswith(step):
                    process.kill()
                    break

    return kill


@pytest.fixture
def bench(shared_bench):
    """The shared session; what a failed test left running does not keep its nodes from the next."""
    yield shared_bench
    while shared_bench.runs:
        shared_bench.runs.pop().terminate()


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory):
    """A running session with two nodes, shared by the tests of this module."""
    state_dir = tmp_path_factory.mktemp("toolkits")
    staging = FileShareStaging("data").directory("code")
    cluster = ClusterBuilder("c").vm_size("STANDARD_D1").nodes(NODES).mount(staging, at="share")
    with (
        Connection.embedded(state_dir) as connection,
        TrainingSession(cluster, staging=staging, connection=connection) as session,
    ):
        (folder,) = state_dir.glob("shares/*/data/code")
        yield Bench(session, staging, folder)


def records_left(state_dir: Path) -> dict[str, int]:
    """Count what a service still knows of, by table."""
    database = sqlite3.connect(f"file:{state_dir / 'state.db'}?mode=ro", uri=True)
    try:
        counts = {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in TABLES
        }
    finally:
        database.close()
    return {table: count for table, count in counts.items() if count}


def files_left(state_dir: Path) -> list[str]:
    """List what is left of shares, nodes and jobs."""
    return [
        str(path.relative_to(state_dir))
        for folder in ("shares", "nodes", "jobs")
        for path in (state_dir / folder).rglob("*")
        if path.is_symlink() or not path.is_dir()
    ]


def processes_left(state_dir: Path) -> list[str]:
    """List the command lines of processes that name the state directory."""
    lines = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it ended meanwhile
            if str(state_dir) in line:
                lines.append(line)
    return lines


def assert_nothing_left(state_dir: Path) -> None:
    """No process, share or record."""
    assert processes_left(state_dir) == []
    assert records_left(state_dir) == {}
    assert files_left(state_dir) == []


@pytest.fixture
def nothing_left(state_dir: Path):
    """Assert that no process, share or record is left."""
    return lambda: assert_nothing_left(state_dir)


@pytest.fixture(scope="module")
def run_service(tmp_path_factory):
    """A service that all runs of a module use, each from nothing and back to nothing."""
    with Connection.embedded(tmp_path_factory.mktemp("run")) as connection:
        yield connection


@pytest.fixture
def run_job(run_service, tmp_path, monkeypatch, capsys):
    """Run a job by its file; return the exit code, the output and the messages. Nothing is left."""
    monkeypatch.chdir(tmp_path)

    def run(job, *arguments, cluster=None, kept=False):
        line = ["batchai-recipes", "run", "job.json", *map(str, arguments)]
        Path("job.json").write_text(json.dumps({"$schema": SCHEMA, "properties": job}))
        if cluster:
            Path("cluster.json").write_text(json.dumps(cluster))
            line += ["--cluster", "cluster.json"]
        monkeypatch.setattr(sys, "argv", [*line, "--state-dir", str(run_service.state_dir)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert bool(list(run_service.batchai.workspaces.list())) == kept
        assert bool(list(run_service.files.list_shares())) == kept
        return ended.value.code, *capsys.readouterr()

    return run
