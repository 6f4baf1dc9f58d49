"""Sessions that go on without a process, and are taken up again."""

import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

from batchai_recipes import ConfigurationError, Connection, TrainingSession
from batchai_recipes.session.journal import peek
from batchai_recipes.session.keeper import wait_for_keeper
from batchai_recipes.session.reaping import reap

PROGRAM = """
import sys
from datetime import timedelta
from batchai_recipes import *

staging = FileShareStaging("data").upload("train.py")
cluster = ClusterBuilder("c").vm_size("STANDARD_D1").mount(staging, at="share")
job = CntkJobBuilder("j").script("$AZ_BATCHAI_MOUNT_ROOT/share/train.py")
with TrainingSession(cluster, staging=staging) as session:
    run = session.submit(job)
    next(run.stream())
    session.detach(timedelta(seconds=float(sys.argv[1])))
print(session.id)
"""
HOUR = 3600.0


@pytest.fixture
def detached(environment, tmp_path):
    """Run a session with a job in a process of its own, that detaches it; tell its id."""

    def run(seconds, train="import sys\nprint('up', flush=True)\nprint(sys.stdin.read(), 'done')"):
        (tmp_path / "train.py").write_text(train)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(seconds)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def test_a_session_goes_on_and_is_taken_up_in_another_process(detached, state_dir, nothing_left):
    """Its runs are found, more jobs run on its clusters, and its end is as of any session."""
    session_id, said = detached(HOUR), []
    with Connection.embedded(state_dir) as connection:
        assert reap(connection.journals, report=said.append) == 0
        assert f"Session {session_id} is detached until " in said[0]
        with TrainingSession.attach(session_id, connection=connection) as session:
            (run,) = session.runs()
            assert list(run.wait().stream()) == ["up", " done"]
            job = _job("second")
            assert session.submit(job).wait().state == "succeeded"
            assert [one.name for one in session.runs()] == ["j", "second"]
        assert (session.run_folder / "result.json").exists()
        with pytest.raises(ConfigurationError, match="no session"):
            TrainingSession.attach(session_id, connection=connection).__enter__()
    nothing_left()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Be another machine: no journal, no state directory, the endpoint's settings alone."""

    def be(connection):
        monkeypatch.setenv("BATCHAI_RECIPES_STATE_DIR", str(tmp_path / "elsewhere"))
        return Connection(connection.settings)

    return be


def test_it_is_taken_up_on_another_machine(detached, state_dir, elsewhere, nothing_left):
    """By what the service knows: names, clusters, jobs, the share; and its end is the same."""
    session_id = detached(HOUR)
    with Connection.embedded(state_dir) as here, elsewhere(here) as there:
        assert there.journals != here.journals
        with TrainingSession.attach(session_id, connection=there) as session:
            (run,) = session.runs()
            assert list(run.wait().stream()) == ["up", " done"]
            assert session.submit(_job("second")).wait().state == "succeeded"
            with pytest.raises(ConfigurationError, match="another process has it, .*/"):
                TrainingSession.attach(session_id, connection=here).__enter__()
            said = []
            assert reap(here.journals, report=said.append) == 0
            reap(here.journals, session_id, report=said.append)
            assert said[-1].startswith(f"Left session {session_id}: ")
            assert session.cluster_state().target == 1
        assert list(there.journals.glob("*.jsonl")) == []
        with pytest.raises(ConfigurationError, match="workspace is gone, so it has ended"):
            TrainingSession.attach(session_id, connection=here).__enter__()
        reap(here.journals, session_id, report=said.append)
    wait_for_keeper(state_dir / "sessions", session_id)
    nothing_left()


def test_of_two_machines_one_takes_it_up(detached, state_dir, elsewhere, monkeypatch, nothing_left):
    """Although both have seen that it is free."""
    session_id = detached(HOUR)
    with Connection.embedded(state_dir) as here, elsewhere(here) as there:
        update = here.batchai.workspaces.update
        late = TrainingSession.attach(session_id, connection=here)
        first = TrainingSession.attach(session_id, connection=there)

        def after_the_other(*arguments, **options):
            monkeypatch.undo()
            first.__enter__()
            return update(*arguments, **options)

        monkeypatch.setattr(here.batchai.workspaces, "update", after_the_other)
        with pytest.raises(ConfigurationError, match="takes it up just now"):
            late.__enter__()
        assert first.cluster_state().target == 1
        first.__exit__(None, None, None)
        reap(here.journals, session_id, report=str)
    wait_for_keeper(state_dir / "sessions", session_id)
    nothing_left()


def _job(name):
    from batchai_recipes import CntkJobBuilder  # noqa: PLC0415 - beside what it is for

    return CntkJobBuilder(name).script("$AZ_BATCHAI_MOUNT_ROOT/share/train.py")


def test_after_its_deadline_the_embedded_service_deletes_it_and_stops(
    detached, state_dir, nothing_left
):
    """Although nobody is there; the job that still ran goes too."""
    session_id = detached(0.1, "print('up', flush=True)\nimport time\ntime.sleep(600)")
    wait_for_keeper(state_dir / "sessions", session_id)

    assert peek(state_dir / "sessions", session_id) is None
    nothing_left()


def test_a_deadline_that_has_passed_lets_reap_delete_it(
    recipe, state_dir, monkeypatch, nothing_left
):
    """Where no process kept the service up for it."""
    monkeypatch.setattr("batchai_recipes.session.hand_over.start_keeper", lambda *_: None)
    made, said = recipe("print('x')"), []
    with Connection.embedded(state_dir) as connection:
        with TrainingSession(made.cluster, staging=made.staging, connection=connection) as session:
            session.detach(datetime.now(timezone.utc) - timedelta(minutes=1))
        assert reap(connection.journals, report=said.append) == 1
    nothing_left()


def test_a_session_that_lives_cannot_be_taken_up(recipe, connection):
    """Two programs would delete it under each other."""
    made = recipe("print('x')")
    with TrainingSession(made.cluster, staging=made.staging, connection=connection) as session:
        with pytest.raises(ConfigurationError, match="another process has it"):
            TrainingSession.attach(session.id, connection=connection).__enter__()
        assert session.cluster_state().idle == 1


def test_an_attachment_that_fails_leaves_the_session_detached(recipe, state_dir, monkeypatch):
    """Nothing is deleted, and it can be tried again."""
    monkeypatch.setattr("batchai_recipes.session.hand_over.start_keeper", lambda *_: None)
    made = recipe("print('x')")
    with Connection.embedded(state_dir) as connection:
        with TrainingSession(made.cluster, staging=made.staging, connection=connection) as session:
            session.detach(timedelta(hours=1))
        again = TrainingSession.attach(session.id, connection=connection)
        with monkeypatch.context() as patch:
            patch.setattr(
                "batchai_recipes.session.lease_holder.LeaseHolder.renew",
                lambda *_: (_ for _ in ()).throw(ConnectionResetError),
            )
            with pytest.raises(ConnectionResetError):
                again.__enter__()
        assert peek(connection.journals, session.id).deadline is not None
        with TrainingSession.attach(session.id, connection=connection) as taken:
            assert taken.cluster_state().idle == 1


def test_a_deadline_needs_a_time_zone(recipe, connection):
    """Else it would mean another time on another machine."""
    made = recipe("print('x')")
    with (
        TrainingSession(made.cluster, staging=made.staging, connection=connection) as session,
        pytest.raises(ConfigurationError, match="no time zone"),
    ):
        session.detach(datetime(2030, 1, 1))  # noqa: DTZ001 - the mistake
