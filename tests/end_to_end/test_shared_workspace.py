"""Sessions that use what another session has made: it is there until the last of them ends."""

import subprocess
import sys
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import pytest

from batchai_recipes import ClusterBuilder, CustomJobBuilder, FileShareStaging, TrainingSession
from batchai_recipes.session.reaping import reap
from batchai_recipes.session.service_clock import ServiceClock

NAMES = {"resource_group": "ours", "workspace": "w"}
CLUSTER = ClusterBuilder("c").vm_size("STANDARD_D1")
OWNER = """
import sys
from batchai_recipes import *

cluster = ClusterBuilder("c").vm_size("STANDARD_D1")
other = ClusterBuilder("other").vm_size("STANDARD_D1").nodes(0)
names = {"resource_group": "ours", "workspace": "w"}
with TrainingSession(cluster, other, experiment="e", **names) as session:
    print(session.id, flush=True)
    sys.stdin.read()
"""
USER = OWNER.replace('experiment="e"', "use_existing=True")


class Later(ServiceClock):
    """The service's clock, an hour from now."""

    def now(self):
        """Return the time at which the lease of a session that is gone has run out."""
        return super().now() + timedelta(hours=1)


@contextmanager
def entered(program, environment):
    """A process in whose program a session has been entered; it is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture
def hello(tmp_path):
    """A job that needs no share."""
    return (
        CustomJobBuilder("hello")
        .command_line("echo hello")
        .std_out_err_path_prefix(str(tmp_path / "logs"))
    )


@pytest.fixture
def owner(environment):
    """A session of another process that has made group, workspace, two clusters and experiment."""
    with entered(OWNER, environment) as process:
        yield process


@pytest.mark.parametrize("experiment", [None, "e"])
def test_what_a_session_uses_outlives_the_one_that_made_it(
    connection, nothing_left, experiment, hello
):
    """Cluster, workspace and experiment; the last of them deletes all."""
    said = []
    with ExitStack() as owner:
        made = owner.enter_context(
            TrainingSession(
                CLUSTER, connection=connection, experiment="e", report=said.append, **NAMES
            )
        )
        with TrainingSession(
            ClusterBuilder("c"),
            connection=connection,
            use_existing=True,
            experiment=experiment,
            **NAMES,
        ) as user:
            owner.close()
            assert user.submit(hello).wait().state == "succeeded"
            (workspace,) = connection.batchai.workspaces.list()
            assert made.id not in str(workspace.tags)
    there = [line for line in said if line.startswith("Left ")]

    assert there == [
        *([f"Left experiment e: session {user.id} uses it"] if experiment else []),
        f"Left cluster c: session {user.id} uses it",
        f"Left workspace w: session {user.id} uses it",
        f"Left resource group ours: session {user.id} uses it",
    ]
    assert list(connection.resources.resource_groups.list()) == []
    connection.close()
    nothing_left()


def test_the_share_of_a_cluster_outlives_the_session_that_made_both(connection, nothing_left):
    """The job's output goes there; the last of them deletes it, too."""
    share = FileShareStaging("results")
    with ExitStack() as owner:
        cluster = CLUSTER.mount(share, at="results")
        owner.enter_context(TrainingSession(cluster, staging=share, connection=connection, **NAMES))
        with TrainingSession(
            ClusterBuilder("c"), connection=connection, use_existing=True, **NAMES
        ) as user:
            owner.close()
            run = user.submit(CustomJobBuilder("hello").command_line("echo hello")).wait()
            assert list(run.stream("stdout.txt")) == ["hello"]
    assert list(connection.files.list_shares()) == []
    connection.close()
    nothing_left()


def test_a_session_that_ends_first_leaves_what_it_used(connection, hello):
    """Its own job and experiment go; the one that made the rest goes on."""
    with TrainingSession(CLUSTER, connection=connection, **NAMES) as made:
        with TrainingSession(
            ClusterBuilder("c"), connection=connection, use_existing=True, **NAMES
        ) as user:
            user.submit(hello).wait()
        (workspace,) = connection.batchai.workspaces.list()
        (experiment,) = connection.batchai.experiments.list_by_workspace("ours", "w")

        assert experiment.name == made.names.experiment
        assert user.id not in str(workspace.tags)
        assert made.submit(hello).wait().state == "succeeded"
    assert list(connection.resources.resource_groups.list()) == []


@pytest.mark.parametrize("experiment", [None, "e"])
def test_reap_leaves_of_a_killed_session_what_another_one_uses(
    owner, connection, nothing_left, experiment, hello
):
    """The cluster that the other does not use is deleted; the rest when the other has ended."""
    said = []
    with TrainingSession(
        ClusterBuilder("c"),
        connection=connection,
        use_existing=True,
        experiment=experiment,
        **NAMES,
    ) as user:
        owner.kill()
        owner.wait()
        assert reap(connection.journals, report=said.append) == 1
        assert reap(connection.journals, report=said.append) == 0
        clusters = connection.batchai.clusters.list_by_workspace("ours", "w")
        assert [cluster.name for cluster in clusters] == ["c"]
        assert user.submit(hello).wait().state == "succeeded"
    assert f"Left cluster c: session {user.id} uses it" in said
    assert list(connection.resources.resource_groups.list()) == []
    connection.close()
    nothing_left()


def test_reap_on_another_machine_leaves_it_too(owner, connection, tmp_path, hello):
    """Where only the tags tell of either session."""
    elsewhere, said = tmp_path / "elsewhere", []
    with TrainingSession(
        ClusterBuilder("c"), connection=connection, use_existing=True, **NAMES
    ) as user:
        owner.kill()
        owner.wait()
        live = user._live
        # As in an hour, at which this session will have renewed what it uses, and the other not.
        live.lease.hand_over(live._journal.made, live.lease.clock.now() + timedelta(hours=2))
        arguments = {"report": said.append, "connection": connection, "clock": Later()}
        assert reap(elsewhere, **arguments) == 1
        assert reap(elsewhere, **arguments) == 0
        clusters = connection.batchai.clusters.list_by_workspace("ours", "w")
        assert [cluster.name for cluster in clusters] == ["c"]
        assert user.submit(hello).wait().state == "succeeded"
        live.lease.renew(live._journal.made)
        assert user.id in connection.batchai.workspaces.get("ours", "w").tags.values()
    assert f"Left workspace w: session {user.id} uses it" in said
    assert list(connection.resources.resource_groups.list()) == []


def test_when_both_were_killed_reap_deletes_all(owner, environment, connection, nothing_left):
    """In whatever order it comes upon them."""
    with entered(USER, environment):
        owner.kill()
        owner.wait()

    assert reap(connection.journals, report=str) == 2
    assert list(connection.resources.resource_groups.list()) == []
    assert list(connection.journals.glob("*.jsonl")) == []
    connection.close()
    nothing_left()


def test_what_a_killed_session_made_in_somebodys_workspace_is_reaped_from_any_machine(
    environment, connection, tmp_path
):
    """The workspace says what of it is a session's; it stays itself, without those notes."""
    groups, workspaces = connection.resources.resource_groups, connection.batchai.workspaces
    groups.create_or_update("ours", {"location": "eastus"})
    workspaces.begin_create("ours", "w", {"location": "eastus", "tags": {"mine": "yes"}}).wait()
    with entered(USER, environment):
        pass
    elsewhere, said = tmp_path / "elsewhere", []

    assert reap(elsewhere, report=said.append, connection=connection) == 0
    assert reap(elsewhere, report=said.append, connection=connection, clock=Later()) == 1
    assert list(connection.batchai.clusters.list_by_workspace("ours", "w")) == []
    assert list(connection.batchai.experiments.list_by_workspace("ours", "w")) == []
    assert workspaces.get("ours", "w").tags == {"mine": "yes"}
    groups.begin_delete("ours").wait()


def test_a_session_that_uses_anothers_workspace_can_be_detached_and_taken_up(connection, hello):
    """Although the one that made it has ended meanwhile; leaving it deletes all."""
    with ExitStack() as owner:
        made = owner.enter_context(TrainingSession(CLUSTER, connection=connection, **NAMES))
        with TrainingSession(
            ClusterBuilder("c"), connection=connection, use_existing=True, **NAMES
        ) as user:
            user.submit(hello)
            user.detach(timedelta(hours=1))
        owner.close()
    with pytest.raises(Exception, match="There is no session"):
        TrainingSession.attach(made.id, connection=connection).__enter__()
    with TrainingSession.attach(user.id, connection=connection) as again:
        (run,) = again.runs()
        assert run.wait().state == "succeeded"

    assert list(connection.resources.resource_groups.list()) == []


def test_taking_up_the_owner_leaves_what_another_session_made_beside(connection, hello):
    """Its clusters and experiments are not the owner's, although they are in its workspace."""
    with TrainingSession(CLUSTER, connection=connection, **NAMES) as made:
        made.detach(timedelta(hours=1))
    second = ClusterBuilder("second").vm_size("STANDARD_D1")
    with TrainingSession(second, connection=connection, use_existing=True, **NAMES) as user:
        with TrainingSession.attach(made.id, connection=connection) as again:
            assert again.names.clusters == ("c",)
        assert user.submit(hello).wait().state == "succeeded"
    assert list(connection.resources.resource_groups.list()) == []


def test_at_its_deadline_a_detached_session_leaves_what_another_one_uses(connection, hello):
    """The service deletes the rest, and knows from the tags what the other uses."""
    rest = ClusterBuilder("rest").vm_size("STANDARD_D1").nodes(0)
    clusters, workspaces = connection.batchai.clusters, connection.batchai.workspaces
    with ExitStack() as owner:
        made = owner.enter_context(TrainingSession(CLUSTER, rest, connection=connection, **NAMES))
        with TrainingSession(
            ClusterBuilder("c"), connection=connection, use_existing=True, **NAMES
        ) as user:
            made.detach(timedelta(seconds=0.1))
            owner.close()
            while [one.name for one in clusters.list_by_workspace("ours", "w")] != ["c"]:
                pass
            while made.id in str(workspaces.get("ours", "w").tags):
                pass
            assert user.submit(hello).wait().state == "succeeded"
    assert list(connection.resources.resource_groups.list()) == []
