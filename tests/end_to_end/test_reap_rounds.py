"""Sessions killed with SIGKILL after each of their steps, beside one that lives."""

import os
from contextlib import ExitStack
from datetime import timedelta

import pytest
from unmeasured import unmeasured

from batchai_recipes import ClusterBuilder, Connection, CustomJobBuilder, TrainingSession
from batchai_recipes.session.reaping import reap
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.session.workspace_notes import inner_uses, workspace_uses
from batchai_recipes.settings import journals_of

ROUNDS = int(os.environ.get("BATCHAI_RECIPES_KILL_ROUNDS", "1"))
PROGRAM = """
import os
import sys
from datetime import timedelta
from batchai_recipes import *
from batchai_recipes.session.joint_workspace import JointWorkspace
from batchai_recipes.session.journal import Journal
from batchai_recipes.session.lease_holder import LeaseHolder

step, scenario, *arguments = sys.argv[1:]
counts = {}

def report(line):
    os.write(1, f"{line}\\n".encode())  # whole, whichever thread reports beside
    if line.startswith(step):
        sys.stdin.read()  # the test kills this process here

def tell(kind, name, word):
    act = getattr(kind, name)

    def told(*arguments, **options):
        result = act(*arguments, **options)
        counts[word] = counts.get(word, 0) + 1
        report(f"{word} {counts[word]}")
        return result

    setattr(kind, name, told)

tell(JointWorkspace, "write", "tags")
tell(LeaseHolder, "renew", "renewed")
tell(LeaseHolder, "hand_over", "handed over")
tell(Journal, "detach", "noted the deadline")

staging = FileShareStaging("data").upload("train.py")
cluster = ClusterBuilder("c").vm_size("STANDARD_D1").mount(staging, at="share")
job = CntkJobBuilder("j").script("$AZ_BATCHAI_MOUNT_ROOT/share/train.py")

options = {"staging": staging, "report": report}

def running(connection):
    with TrainingSession(cluster, connection=connection, **options) as session:
        for line in session.submit(job).stream():
            report(line)

def ending(connection):
    with TrainingSession(cluster, connection=connection, **options) as session:
        session.submit(job)

def limits(connection):
    short = ClusterBuilder("short").vm_size("STANDARD_D1").idle_timeout(0.2)
    clusters = (cluster.max_lifetime(3600), short)
    with TrainingSession(*clusters, connection=connection, **options) as session:
        session.submit(job, cluster="c")
        place = session.names.workspace_place
        while len(list(connection.batchai.clusters.list_by_workspace(*place))) == 2:
            pass
        report("retired")

def attaching(connection):
    with TrainingSession(cluster, connection=connection, **options) as session:
        session.submit(job)
        session.detach(timedelta(hours=1))
    report("gone on")
    with TrainingSession.attach(session.id, connection=connection, report=report):
        report("taken up")

def joining(connection):
    group, workspace, experiment = arguments
    names = {"resource_group": group, "workspace": workspace, "experiment": experiment}
    mine = ClusterBuilder("mine")
    with TrainingSession(
        mine, use_existing=True, connection=connection, report=report, **names
    ) as session:
        hello = CustomJobBuilder("j").command_line("sleep 600")
        session.submit(hello.std_out_err_path_prefix(os.getcwd()))

settings = None
if scenario == "elsewhere":
    scenario, settings = "running", ConnectionSettings.from_file(arguments[0])
with Connection(settings) if settings else Connection.default() as connection:
    globals()[scenario](connection)
"""
STEPS = {
    "running": (
        *("Created resource group", "Created workspace", "Created file share", "Uploaded"),
        *("tags 1", "Created cluster", "Cluster state", "tags 2", "Created experiment"),
        *("Created job", "up"),
    ),
    "ending": (
        *("Deleting job", "Deleting experiment", "tags 3", "tags 4", "Deleting cluster", "tags 5"),
        *("tags 6", "Deleting file share", "Deleting workspace", "Deleting resource group"),
    ),
    "limits": (
        *("Created cluster c", "tags 2", "Created cluster short", "Created experiment"),
        *("Deleting cluster short: it had no job", "tags 4", "tags 5", "retired"),
    ),
    "attaching": (
        *("handed over 1", "noted the deadline", "Detached session", "gone on", "renewed 1"),
        *("taken up", "Deleting cluster"),
    ),
    "joining": (
        *("Using resource group", "tags 1", "Using workspace", "tags 2", "Using cluster", "tags 3"),
        *("Using experiment", "Created job", "Deleting job", "tags 4", "tags 5", "tags 6"),
    ),
}
"""At which steps of which program it is killed."""


@pytest.fixture
def killed(environment, tmp_path, forked):
    """Run the session of PROGRAM in a process of its own, and kill it at a step."""
    (tmp_path / "train.py").write_text("import time\nprint('up')\ntime.sleep(600)\n")

    def kill(step, *arguments):
        # A test may have changed its environment since.
        variables = unmeasured(environment)
        with forked.start(
            PROGRAM, step, *arguments, environment=variables, cwd=tmp_path
        ) as process:
            for line in process.stdout:
                if line.startswith(step):
                    process.kill()

    return kill


class Live:
    """A session that lives meanwhile, with a job that runs, and what there is of it."""

    def __init__(self, session, run, connection):
        self.run = run
        self.id = session.id
        self.names = session.names
        self._connection = connection

    def check(self):
        """Fail unless everything of it is there and its job runs, and nothing else is."""
        batchai = self._connection.batchai
        groups = self._connection.resources.resource_groups.list()
        shares = self._connection.files.list_shares()
        place = self.names.workspace_place
        (workspace,) = batchai.workspaces.list()
        assert workspace.name == self.names.workspace
        clusters = batchai.clusters.list_by_workspace(*place)
        assert [one.name for one in clusters] == ["mine"]
        experiments = batchai.experiments.list_by_workspace(*place)
        assert [one.name for one in experiments] == [self.names.experiment]
        jobs = batchai.jobs.list_by_experiment(*self.names.experiment_place)
        assert [one.name for one in jobs] == ["forever"]
        users = [*workspace_uses(workspace.tags), *(u for _, _, u in inner_uses(workspace.tags))]
        assert {use.session for use in users} == {self.id}
        assert [one.name for one in groups] == [self.names.resource_group]
        assert [one.name for one in shares] == ["mine"]
        assert self.run.state == "running"


@pytest.fixture
def live(state_dir, tmp_path):
    """A session of this process."""
    cluster = ClusterBuilder("mine").vm_size("STANDARD_D1")
    job = CustomJobBuilder("forever").command_line("sleep infinity")
    job = job.std_out_err_path_prefix(str(tmp_path / "logs"))
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


class Later(ServiceClock):
    """The service's clock, two hours from now."""

    def now(self):
        """Return the time at which the lease of a session that is gone has run out."""
        return super().now() + timedelta(hours=2)


@pytest.mark.slow
@pytest.mark.timeout(300 * (1 + ROUNDS))
@pytest.mark.parametrize("scenario", STEPS)
def test_reap_leaves_nothing_of_killed_sessions_and_touches_no_live_one(
    killed, live, state_dir, scenario
):
    """At every step; so many rounds as BATCHAI_RECIPES_KILL_ROUNDS says."""
    place = live.names.experiment_place if scenario == "joining" else ()
    for _ in range(ROUNDS):
        for step in STEPS[scenario]:
            killed(step, scenario, *place)
            said, journals = [], journals_of(state_dir)
            # What was detached stays until its deadline.
            clock = Later() if scenario == "attaching" else None
            assert reap(journals, report=said.append, clock=clock) == 1, step
            assert reap(journals, report=said.append, clock=clock) == 0, step
            live.check()


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
    killed(step, "elsewhere", str(settings_file))
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
