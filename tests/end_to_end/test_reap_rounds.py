"""Sessions killed with SIGKILL after each of their steps, beside one that lives."""

import os
from contextlib import ExitStack
from datetime import timedelta

import pytest

from batchai_recipes import ClusterBuilder, Connection, CustomJobBuilder, TrainingSession
from batchai_recipes.session.reaping import reap
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.settings import journals_of

ROUNDS = int(os.environ.get("BATCHAI_RECIPES_KILL_ROUNDS", "1"))
PROGRAM = """
import sys
from batchai_recipes import *

step = sys.argv[1]

def report(line):
    print(line, flush=True)
    if line.startswith(step):
        sys.stdin.read()  # the test kills this process here

# The resource group is the live session's, the share one that both stage to.
staging = FileShareStaging("data").upload("train.py")
cluster = ClusterBuilder("c").vm_size("STANDARD_D1").mount(staging, at="share")
job = CntkJobBuilder("j").script("$AZ_BATCHAI_MOUNT_ROOT/share/train.py")
settings = ConnectionSettings.from_file(sys.argv[2]) if sys.argv[2:] else None
with (
    Connection(settings) if settings else Connection.default() as connection,
    TrainingSession(cluster, staging=staging, connection=connection, report=report) as session,
):
    for line in session.submit(job).stream():
        report(line)
"""
STEPS = (
    "Created resource group",
    "Created workspace",
    "Created file share",
    "Uploaded",
    "Created cluster",
    "Cluster state",
    "Created experiment",
    "Created job",
    "up",
)


class Live:
    """A session that lives meanwhile, with a job that runs, and what there is of it."""

    def __init__(self, session, run, connection):
        self.run = run
        self._names = session.names
        self._connection = connection

    def check(self):
        """Fail unless everything of it is there and its job runs, and nothing else is."""
        batchai = self._connection.batchai
        groups = self._connection.resources.resource_groups.list()
        shares = self._connection.files.list_shares()
        assert [one.name for one in batchai.workspaces.list()] == [self._names.workspace]
        assert [one.name for one in groups] == [self._names.resource_group]
        assert [one.name for one in shares] == ["mine"]
        assert self.run.state == "running"


@pytest.fixture
def live(state_dir):
    """A session of this process."""
    cluster = ClusterBuilder("mine").vm_size("STANDARD_D1")
    job = CustomJobBuilder("forever").command_line("sleep infinity").std_out_err_path_prefix("/tmp")
    with (
        Connection.embedded(state_dir) as connection,
        TrainingSession(cluster, connection=connection) as session,
    ):
        connection.files.create_share("mine")
        run = session.submit(job)
        while run.state != "running":
            pass
        yield Live(session, run, connection)
        connection.files.delete_share("mine")


@pytest.mark.slow
@pytest.mark.timeout(60 * (1 + ROUNDS))
def test_reap_leaves_nothing_of_killed_sessions_and_touches_no_live_one(killed, live, state_dir):
    """At every step; so many rounds as BATCHAI_RECIPES_KILL_ROUNDS says."""
    for _ in range(ROUNDS):
        for step in STEPS:
            killed(step)
            said = []
            assert reap(journals_of(state_dir), report=said.append) == 1, step
            assert reap(journals_of(state_dir), report=said.append) == 0, step
            live.check()


class Later(ServiceClock):
    """The service's clock, an hour from now."""

    def now(self):
        """Return the time at which the lease of a session that is gone has run out."""
        return super().now() + timedelta(hours=1)


@pytest.fixture
def settings_file(live, tmp_path):
    """The settings of the service as another machine has them."""
    settings = live._connection.settings
    lines = {
        "BATCHAI_ENDPOINT": settings.endpoint,
        "BATCHAI_CA_FILE": settings.ca_file,
        "AZURE_AUTHORITY_HOST": settings.authority,
        "AZURE_TENANT_ID": settings.tenant_id,
        "AZURE_CLIENT_ID": settings.client_id,
        "AZURE_CLIENT_SECRET": settings.client_secret,
        "AZURE_SUBSCRIPTION_ID": settings.subscription_id,
        "AZURE_STORAGE_ACCOUNT": settings.storage.name,
        "AZURE_STORAGE_KEY": settings.storage.key,
        "BATCHAI_FILES_ENDPOINT": settings.storage.files_endpoint,
        "BATCHAI_ADMIN_USER": "demo",
        "BATCHAI_ADMIN_PASSWORD": "not-shown-anywhere",
    }
    path = tmp_path / "batchai.env"
    path.write_text("".join(f"{name}='{value}'\n" for name, value in lines.items()))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("step", ["Created resource group", "Created workspace", "Uploaded", "up"])
def test_a_session_of_another_machine_is_reaped_when_its_lease_has_run_out(
    killed, live, environment, settings_file, tmp_path, step
):
    """Not before; and only it, although the clock is as late for the session that lives here."""
    environment["BATCHAI_RECIPES_STATE_DIR"] = str(tmp_path / "elsewhere")
    killed(step, str(settings_file))
    here, said = journals_of(tmp_path / "state"), []
    connection = live._connection

    assert reap(here, report=said.append, connection=connection) == 0
    assert reap(here, report=said.append, connection=connection, clock=Later()) == 1
    assert "not heard of) left: " in said[0]
    assert reap(here, report=said.append, connection=connection, clock=Later()) == 0
    live.check()


def test_what_a_live_session_uses_of_another_stays_until_it_ends(state_dir, recipe, nothing_left):
    """The group that one made and the other works in, the share that both stage to."""
    made, said = recipe("print('done')"), []
    with Connection.embedded(state_dir) as connection:
        options = {"staging": made.staging, "connection": connection, "resource_group": "ours"}
        with ExitStack() as first:
            first.enter_context(TrainingSession(made.cluster, report=said.append, **options))
            with TrainingSession(made.cluster, **options) as second:
                first.close()
                assert second.submit(made.job).wait().state == "succeeded"
        left = [line for line in said if line.startswith("Left ")]
        assert reap(connection.journals, report=said.append) == 0

    assert left == [
        f"Left file share data: session {second.id} uses it",
        f"Left resource group ours: session {second.id} uses it",
    ]
    nothing_left()
