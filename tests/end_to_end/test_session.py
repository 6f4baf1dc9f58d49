"""Sessions of a user's own, against the embedded service with the real Azure clients."""

import signal
import subprocess
import sys
import textwrap

import pytest
import requests
from attrs import evolve
from unmeasured import unmeasured

from batchai_recipes import (
    BatchAIRecipesError,
    ClusterBuilder,
    ClusterError,
    ClusterState,
    Connection,
    FileShareStaging,
    JobFailedError,
    RequestError,
    StorageAccount,
    TrainingSession,
)

TRAIN = """
import os, pathlib, sys
print("hello from", sys.argv[1])
print("née", file=sys.stderr)
pathlib.Path(os.environ["AZ_BATCHAI_OUTPUT_MODEL"], "sub").mkdir()
pathlib.Path(os.environ["AZ_BATCHAI_OUTPUT_MODEL"], "sub", "model.bin").write_bytes(b"x" * 9)
"""


def test_a_job_runs_streams_and_gives_its_output(recipe, connection, tmp_path):
    """The whole story of one job."""
    made = recipe(TRAIN)
    with TrainingSession(made.cluster, staging=made.staging, connection=connection) as session:
        run = session.submit(made.job.args("two words"))
        lines = list(run.stream("stdout.txt"))
        run.wait()
        logs = {file.path for file in run.outputs("stdouterr").files()}
        models = run.outputs("MODEL").download(tmp_path / "models")

    assert lines == ["hello from two words"]
    assert {"execution.log", "stderr.txt", "stdout.txt"} <= logs
    assert [model.read_bytes() for model in models] == [b"x" * 9]


def test_links_work_without_further_credentials(recipe, connection):
    """Plain curl follows them; a changed signature is refused."""
    made = recipe(TRAIN)
    with TrainingSession(made.cluster, staging=made.staging, connection=connection) as session:
        run = session.submit(made.job.args("x")).wait()
        (link,) = [f.url for f in run.outputs("stdouterr").files() if f.path == "stderr.txt"]
        curl = subprocess.run(["curl", "-sf", link], capture_output=True, check=True)
        forged = requests.get(link.replace("sig=", "sig=A"), timeout=10)

    assert ("née\n".encode(), 403) == (curl.stdout, forged.status_code)


def test_a_script_that_fails_raises_and_is_cleaned_up(recipe, state_dir, nothing_left):
    """With the exit code and the end of stderr."""
    made = recipe("import sys; sys.stderr.write('out of luck\\n'); sys.exit(7)")
    with (
        Connection.embedded(state_dir) as connection,
        pytest.raises(JobFailedError) as raised,
        TrainingSession(made.cluster, staging=made.staging, connection=connection) as session,
    ):
        session.submit(made.job).wait()

    assert (raised.value.exit_code, raised.value.stderr_tail) == (7, "out of luck\n")
    nothing_left()


def test_a_job_that_is_terminated_has_failed(recipe, connection):
    """Its process is gone, and the error says why."""
    made = recipe("import time\nprint('up')\nwhile True: time.sleep(1)")
    with TrainingSession(made.cluster, staging=made.staging, connection=connection) as session:
        run = session.submit(made.job)
        stream = run.stream()
        assert next(stream) == "up"
        run.terminate()
        with pytest.raises(JobFailedError, match="JobTerminated"):
            run.wait()


def test_two_jobs_share_a_node_one_after_the_other(recipe, connection):
    """The second waits in the queue."""
    made = recipe("print('done')")
    with TrainingSession(made.cluster, staging=made.staging, connection=connection) as session:
        first = session.submit(made.job)
        second = session.submit(evolve(made.job, name="second"))

        assert [list(run.stream()) for run in (second, first)] == [["done"], ["done"]]
        assert [run.wait().state for run in (first, second)] == ["succeeded"] * 2


def test_a_job_of_the_same_name_is_refused(recipe, connection):
    """The first one is neither touched nor deleted early."""
    made = recipe("print('done')")
    with TrainingSession(made.cluster, staging=made.staging, connection=connection) as session:
        run = session.submit(made.job)
        with pytest.raises(RequestError, match="choose another name"):
            session.submit(made.job)
        assert run.wait().state == "succeeded"


def test_a_wrong_storage_key_is_refused_and_nothing_is_left(recipe, state_dir, nothing_left):
    """The message says what to check and holds neither key."""
    made = recipe("")
    with Connection.embedded(state_dir) as good:
        wrong = evolve(good.settings, storage=evolve(good.storage, key="d3Jvbmc="))
        with (
            Connection(wrong) as connection,
            pytest.raises(BatchAIRecipesError, match="check the storage account") as raised,
            TrainingSession(made.cluster, staging=made.staging, connection=connection),
        ):
            pass
    assert not [key for key in ("d3Jvbmc=", good.storage.key) if key in str(raised.value)]
    nothing_left()


def test_a_mount_with_a_wrong_key_makes_the_node_unusable(recipe, connection):
    """The cluster's error says which share."""
    made = recipe("")
    wrong = StorageAccount(connection.storage.name, "d3Jvbmc=", connection.storage.files_endpoint)

    with TrainingSession(
        evolve(made.cluster, mounts=()), staging=made.staging, connection=connection
    ) as session:
        place = (session.names.resource_group, session.names.workspace, "broken")
        clusters = connection.batchai.clusters
        parameters = made.cluster.build(wrong, admin=connection.settings.admin)
        clusters.begin_create(*place, parameters).result()
        state = ClusterState.of(clusters.get(*place))
        while state.allocation != "steady" or state.preparing:
            state = ClusterState.of(clusters.get(*place))
        clusters.begin_delete(*place).wait()

    assert state.unusable == 1
    assert "ShareMountFailed" in state.errors[0]
    assert "check credentials.accountKey" in state.errors[0]


def test_a_wrong_client_secret_is_refused(state_dir):
    """Nobody gets in, on loopback too."""
    with Connection.embedded(state_dir) as good:
        wrong = evolve(good.settings, client_secret="wrong")
        with (
            Connection(wrong) as connection,
            pytest.raises(BatchAIRecipesError, match="check AZURE_TENANT_ID, AZURE_CLIENT_ID"),
            TrainingSession(_any_cluster(), connection=connection),
        ):
            pass


def _any_cluster():
    return ClusterBuilder("c").vm_size("STANDARD_D1")


def test_a_share_that_was_there_before_stays(recipe, connection):
    """With what was on it."""
    made = recipe("print('x')")
    connection.files.create_share("data")
    connection.files.create_file_from_text("data", None, "mine.txt", "keep me")
    with TrainingSession(made.cluster, staging=made.staging, connection=connection) as session:
        session.submit(made.job).wait()

    assert connection.files.get_file_to_text("data", None, "mine.txt").content == "keep me"


def test_a_missing_share_is_an_error_of_the_cluster(connection):
    """A cluster that mounts what nobody staged."""
    cluster = _any_cluster().mount("nobody", at="share")

    with (
        pytest.raises(ClusterError, match="nobody"),
        TrainingSession(cluster, connection=connection),
    ):
        pass


def test_sigterm_cleans_up(recipe, environment, state_dir, tmp_path, nothing_left):
    """As an orchestrator ends a program."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text("import time\nprint('up')\ntime.sleep(600)")
    program = textwrap.dedent(
        """
        from batchai_recipes import *
        staging = FileShareStaging("data").upload("train.py")
        cluster = ClusterBuilder("c").vm_size("STANDARD_D1").mount(staging, at="share")
        job = CntkJobBuilder("j").script("$AZ_BATCHAI_MOUNT_ROOT/share/train.py")
        with TrainingSession(cluster, staging=staging) as session:
            for line in session.submit(job).stream():
                print(line, flush=True)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=unmeasured(environment),
        cwd=tmp_path / "code",
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)

    assert process.returncode == 143
    nothing_left()


def test_staging_many_files_in_directories(connection, tmp_path, recipe):
    """More than are moved at a time, some empty, some of more than one range."""
    sizes = {f"f{i:02}": i * 700_000 for i in range(10)}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(name.encode() * (size // 3))
    staging = FileShareStaging("data").directory("a/b").upload(*(tmp_path / n for n in sizes))
    made = recipe("")
    with TrainingSession(evolve(made.cluster, mounts=()), staging=staging, connection=connection):
        got = {
            name: connection.files.get_file_to_bytes("data", "a/b", name).content for name in sizes
        }

    assert got == {name: (tmp_path / name).read_bytes() for name in sizes}
