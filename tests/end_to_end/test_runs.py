"""Runs of jobs in several processes, followed and read, against the embedded service."""

import threading

import pytest

from batchai_recipes import (
    ClusterBuilder,
    Connection,
    FileShareStaging,
    JobFailedError,
    Pacing,
    PyTorchJobBuilder,
    TrainingSession,
)
from batchai_recipes.profiles import read_profile

TRAIN = """
import os, sys, time
rank, share = os.environ["RANK"], sys.argv[1]
go = share + "/go"
for n in range(500):
    print(f"{rank}:{n}:née", flush=True)
    if n == 250:
        while not os.path.exists(go):
            time.sleep(0.01)
sys.stdout.write("no end of line")
"""


@pytest.fixture
def session(connection, tmp_path):
    """A session whose share holds the program."""
    (tmp_path / "train.py").write_text(TRAIN)
    staging = FileShareStaging("data").upload(tmp_path / "train.py")
    cluster = ClusterBuilder("c").vm_size("STANDARD_D1").mount(staging, at="share")
    with TrainingSession(
        cluster, staging=staging, connection=connection, pacing=Pacing(longest=0.1)
    ) as session:
        yield session


def training(script="train.py"):
    """Return a job of two processes."""
    return (
        PyTorchJobBuilder("j")
        .script(f"$AZ_BATCHAI_MOUNT_ROOT/share/{script}")
        .args("$AZ_BATCHAI_MOUNT_ROOT/share")
        .processes(2)
    )


def test_two_logs_are_followed_while_they_are_written(session, connection):
    """Every line of each once and in order, the halves before and after a stop among them."""
    run = session.submit(training())
    stream = run.stream("stdout-*.txt")
    first = [next(stream) for _ in range(251)]  # of two times 251
    connection.files.create_file_from_bytes("data", None, "go", b"")
    rest = list(stream)
    run.wait()

    for rank in (0, 1):
        name = f"stdout-{rank}.txt"
        written = run.logs(name).split("\n")
        assert written == [*(f"{rank}:{n}:née" for n in range(500)), "no end of line"]
        seen = [line for line in [*first, *rest] if line.startswith(name)]
        assert seen == [f"{name}: {line}" for line in written]


def test_states_come_as_they_change_while_another_thread_reads(session, connection):
    """A run may be used from several threads."""
    run = session.submit(training())
    seen: list[str] = []
    watcher = threading.Thread(target=lambda: seen.extend(c.state for c in run.events()))
    watcher.start()
    assert next(run.stream()) == "0:0:née"
    connection.files.create_file_from_bytes("data", None, "go", b"")
    run.wait()
    watcher.join()

    assert seen == ["queued", "running", "succeeded"]


def test_a_failed_process_of_several_is_the_one_whose_error_is_shown(session, connection, tmp_path):
    """By rank."""
    text = "import os, sys\nif os.environ['RANK'] == '1': sys.exit('rank one is out of luck')\n"
    connection.files.create_file_from_text("data", None, "fail.py", text)
    with pytest.raises(JobFailedError) as raised:
        session.submit(training("fail.py")).wait()

    assert raised.value.exit_code == 1
    assert "rank one is out of luck" in raised.value.stderr_tail


def test_a_profile_leads_to_a_service(connection, tmp_path, monkeypatch):
    """Its secrets in the environment."""
    settings = connection.settings
    file = tmp_path / "profiles.toml"
    file.write_text(
        f"""
        [profiles.mine]
        endpoint = "{settings.endpoint}"
        authority = "{settings.endpoint}"
        ca_file = "{settings.ca_file}"
        subscription_id = "{settings.subscription_id}"
        tenant_id = "{settings.tenant_id}"
        client_id = "{settings.client_id}"
        client_secret = {{ env = "MY_SECRET" }}
        storage.connection_string = {{ env = "MY_STORAGE" }}
        """
    )
    monkeypatch.setenv("MY_SECRET", str(settings.client_secret))
    monkeypatch.setenv("MY_STORAGE", settings.storage.connection_string)

    assert read_profile(path=file).settings is not None
    with Connection.from_profile(path=file) as mine:
        assert list(mine.batchai.workspaces.list()) == []
        assert list(mine.files.list_shares()) == []


def test_the_default_chain_signs_in_by_the_environment(connection, monkeypatch):
    """At the service's own authority, checked with its certificate."""
    settings = connection.settings
    monkeypatch.setenv("AZURE_TENANT_ID", str(settings.tenant_id))
    monkeypatch.setenv("AZURE_CLIENT_ID", str(settings.client_id))
    monkeypatch.setenv("AZURE_CLIENT_SECRET", str(settings.client_secret))
    with Connection(settings, credential="default") as mine:
        assert list(mine.batchai.workspaces.list()) == []
