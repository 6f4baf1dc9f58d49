"""`batchai-recipes run` on a cluster that exists, detached, and `attach` after it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from unmeasured import unmeasured

from batchai_recipes import ClusterBuilder, Connection, FileShareStaging, TrainingSession, cli

PLACE = "$AZ_BATCHAI_MOUNT_ROOT/external"
JOB = {
    "nodeCount": 1,
    "stdOutErrPathPrefix": PLACE,
    "outputDirectories": [{"id": "MODEL", "pathPrefix": PLACE}],
    "customToolkitSettings": {
        "commandLine": f"cat {PLACE}/words.txt; echo weights > $AZ_BATCHAI_OUTPUT_MODEL/model.txt"
    },
}
# Goes on until somebody makes a file on its share.
WAITS = (
    f"echo begun; until [ -e {PLACE}/go ]; do sleep 0.02; done; "
    "echo weights > $AZ_BATCHAI_OUTPUT_MODEL/model.txt; echo ended"
)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service that all tests of this module use."""
    with Connection.embedded(tmp_path_factory.mktemp("attach")) as connection:
        yield connection


@pytest.fixture
def recipes(service, tmp_path, monkeypatch, capsys):
    """Run a command in this process; return its exit code, its result and its messages."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.json").write_text(json.dumps({"properties": JOB}))

    def run(*arguments):
        line = ["batchai-recipes", *map(str, arguments), "--state-dir", str(service.state_dir)]
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, *capsys.readouterr()

    return run


def write(folder, command):
    """Write a job's file."""
    job = {**JOB, "customToolkitSettings": {"commandLine": command}}
    Path(folder, "job.json").write_text(json.dumps({"properties": job}))


def left(connection):
    """Return what is on the service."""
    groups = [group.name for group in connection.resources.resource_groups.list()]
    return groups, [share.name for share in connection.files.list_shares()]


class TestAClusterThatExists:
    """It is used as it is, and stays."""

    @pytest.fixture
    def there(self, service):
        """A session's cluster with a share."""
        cluster = ClusterBuilder("mine").vm_size("STANDARD_D1").mount("data", at="external")
        with TrainingSession(
            cluster,
            staging=FileShareStaging("data"),
            connection=service,
            resource_group="mygroup",
            workspace="myworkspace",
        ) as session:
            yield session

    def test_it_and_its_share_stay(self, there, recipes, service, tmp_path):
        """The job and its experiment go; its output is on the share that was there."""
        (tmp_path / "words").mkdir()
        (tmp_path / "words" / "words.txt").write_text("to learn\n")
        options = ["--use-cluster", "mine", "--stage", "words", "--outputs", "out"]
        code, output, messages = recipes("run", "job.json", *options)

        assert (code, output) == (0, "stdout.txt: to learn\n"), messages
        assert Path("out/MODEL/model.txt").read_text() == "weights\n"
        assert "Using cluster mine" in messages
        assert "Using file share data" in messages
        assert "Deleting cluster" not in messages
        assert there.cluster_state().idle == 1
        experiments = service.batchai.experiments.list_by_workspace("mygroup", "myworkspace")
        assert [one.name for one in experiments] == [there.names.experiment]
        assert left(service) == (["mygroup"], ["data"])

    def test_it_is_found_where_it_is_said_to_be(self, there, recipes):
        """Or its nearest name is told."""
        options = ["--use-cluster", "mine", "-g", "mygroup", "-w", "myworkspace"]
        write(".", "true")
        assert recipes("run", "job.json", *options)[0] == 0
        code, _, messages = recipes("run", "job.json", "--use-cluster", "mien")
        assert (code, "did you mean 'mine'?" in messages) == (2, True)

    def test_what_does_not_fit_it_is_told_before_anything_is_made(self, there, recipes):
        """Too few nodes, options of a new one, a share that it does not mount."""
        for options, message in (
            (["--nodes", 2], "--nodes: it says how a new cluster is to be"),
            (["--cluster", "c.json"], "--cluster: it says how"),
            (["--mount", "a=b"], "--mount: it says how"),
            (["--stage", "nothere=."], "did you mean"),
            (["--max-lifetime", 9], "--max-lifetime: it says how"),
        ):
            code, _, messages = recipes("run", "job.json", "--use-cluster", "mine", *options)
            assert (code, "Created" in messages) == (2, False), messages
            assert message.partition("did")[0] in messages
        Path("job.json").write_text(json.dumps({"properties": {**JOB, "nodeCount": 2}}))
        code, _, messages = recipes("run", "job.json", "--use-cluster", "mine")
        assert code == 2
        assert "at most 1: scale it first, batchai-recipes cluster scale mine" in messages


class TestDetached:
    """The job goes on without the command."""

    @pytest.fixture
    def detached(self, recipes, service):
        """Leave a job running that waits; return what was told of it."""
        write(".", WAITS)
        options = ["--mount", "data=external", "--detach", "--json"]
        code, output, messages = recipes("run", "job.json", *options)
        assert code == 0, messages
        told = json.loads(output)
        yield told
        if told["session"] in left(service)[0]:
            recipes("reap", told["session"])

    def test_it_is_taken_up_and_followed_to_its_end(self, detached, recipes, service):
        """Then all is gone."""
        assert detached["job"]["properties"]["executionState"] in {"queued", "running"}
        assert detached["commands"]["takeUp"].startswith("batchai-recipes attach batchai-recipes-")
        service.files.create_file_from_bytes("data", None, "go", b"")
        code, output, messages = recipes("attach", detached["session"], "--outputs", "out")

        assert (code, output) == (0, "stdout.txt: begun\nstdout.txt: ended\n"), messages
        assert Path("out/MODEL/model.txt").read_text() == "weights\n"
        assert left(service) == ([], [])
        code, _, messages = recipes("attach", detached["session"])
        assert (code, "There is no session" in messages) == (2, True)

    def test_ctrl_c_detaches_it_again(self, detached, service, recipes, environment):
        """Until the same deadline, with its job."""
        line = ["attach", detached["session"], "--state-dir", str(service.state_dir)]
        process = subprocess.Popen(
            [sys.executable, "-m", "batchai_recipes.cli", *line],
            env=unmeasured({**os.environ, **environment}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "stdout.txt: begun\n"
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate()

        assert process.returncode == 130, messages
        assert f"Detached session {detached['session']}" in messages
        assert "Traceback" not in messages
        assert left(service) == ([detached["session"]], ["data"])
        deadline = detached["detachedUntil"]
        code, output, _ = recipes("reap", "--dry-run", "--json")
        assert code == 0
        assert deadline[:19].replace("T", " ") in output.replace("T", " ")
        assert recipes("reap", detached["session"])[0] == 0
        assert left(service) == ([], [])

    def test_a_person_is_told_what_to_type(self, recipes, service):
        """Each a command that works as it stands."""
        write(".", "echo hello")
        _, output, _ = recipes("run", "job.json", "--mount", "data=external", "--detach")
        told = dict(line.split(":  ", 1) for line in output.splitlines())
        assert "deleted at 20" in told["Session"]
        look = told["Look"].split()[1:-2]  # the state directory is given anyway
        assert recipes(*look)[:2] == (0, "stdout.txt: hello\n")
        assert recipes(*told["Delete"].split()[1:-2])[0] == 0
        assert left(service) == ([], [])

    def test_options_of_its_end_are_refused(self, recipes):
        """Since it is `attach` that sees it."""
        for option in (["--outputs", "out"], ["--keep-outputs"], ["--clean-up", "never"]):
            code, _, messages = recipes("run", "job.json", "--detach", *option)
            assert (code, "batchai-recipes attach" in messages) == (2, True)
        for seconds in ("0", "nan", "1e30"):
            code, _, messages = recipes("run", "job.json", "--detach", "--deadline", seconds)
            assert (code, f"--deadline is {float(seconds):g}: " in messages) == (2, True)
        code, _, messages = recipes("run", "job.json", "--deadline", 5)
        assert (code, "it is of a session that --detach leaves" in messages) == (2, True)


def test_attach_ends_as_its_jobs_do(recipes, service):
    """With 3 where one failed, and the reason; with --json, all on standard output."""
    write(".", "echo no luck >&2; exit 7")
    _, output, _ = recipes("run", "job.json", "--mount", "data=external", "--detach", "--json")
    code, output, messages = recipes("attach", json.loads(output)["session"], "--json")
    (job,) = json.loads(output)["jobs"]
    assert code == 3
    assert job["job"]["properties"]["executionInfo"]["exitCode"] == 7
    assert "Error: Job job failed with exit code 7." in messages
    assert left(service) == ([], [])
