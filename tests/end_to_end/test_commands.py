"""`batchai-recipes cluster` and `job` against a running service."""

import json
import sys

import pytest

from batchai_recipes import (
    ClusterBuilder,
    Connection,
    CustomJobBuilder,
    FileShareStaging,
    JobBuilder,
    TrainingSession,
    cli,
)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A session with a job that has ended and one that has failed, on a service of their own."""
    state_dir = tmp_path_factory.mktemp("commands")
    staging = FileShareStaging("data")
    cluster = ClusterBuilder("mycluster").vm_size("STANDARD_D1").mount(staging, at="share")
    names = {"resource_group": "mygroup", "workspace": "myworkspace", "experiment": "first"}
    good = (
        CustomJobBuilder("good")
        .output("MODEL")
        .command_line("echo out; echo err >&2; echo weights > $AZ_BATCHAI_OUTPUT_MODEL/model.txt")
    )
    bad = CustomJobBuilder("bad").command_line("echo no luck >&2; exit 7")
    with (
        Connection.embedded(state_dir) as connection,
        TrainingSession(cluster, staging=staging, connection=connection, **names) as session,
    ):
        session.submit(good).wait()
        with pytest.raises(Exception, match="exit code 7"):
            session.submit(bad).wait()
        yield state_dir, session


@pytest.fixture
def command(running, monkeypatch, capsys):
    """Run a command in this process; return its exit code, its result and its messages."""

    def run(*arguments):
        line = ["batchai-recipes", *map(str, arguments), "--state-dir", str(running[0])]
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        result, messages = capsys.readouterr()
        return ended.value.code, result, messages

    return run


class TestCluster:
    """The commands of clusters."""

    def test_list(self, command):
        """A line for each, below the titles."""
        code, result, _ = command("cluster", "list")
        titles, line = result.splitlines()
        assert code == 0
        assert titles.split()[:3] == ["NAME", "STATE", "NODES"]
        assert line.split() == [
            *("mycluster", "steady", "1", "1", "1", "0"),
            *("STANDARD_D1", "myworkspace", "mygroup"),
        ]

    def test_list_as_json(self, command):
        """As the service describes them, without secrets."""
        _, result, _ = command("cluster", "list", "--json", "-g", "MyGroup", "-w", "myworkspace")
        (cluster,) = json.loads(result)
        assert cluster["name"] == "mycluster"
        assert cluster["properties"]["scaleSettings"]["manual"]["targetNodeCount"] == 1
        assert "accountKey" not in result

    def test_what_is_shown_reads_as_a_configuration_file(self, running, command, tmp_path):
        """So that a cluster can be made again."""
        _, result, _ = command("cluster", "show", "mycluster", "--json")
        path = tmp_path / "shown.json"
        path.write_text(result)
        storage = running[1]._active().connection.storage
        again = ClusterBuilder.from_file(path, storage=storage)
        made = ClusterBuilder("mycluster").vm_size("STANDARD_D1").mount("data", at="share")
        assert (again.name, again.size, again.mounts) == (made.name, made.size, made.mounts)

    def test_show(self, command):
        """What a person wants to know."""
        code, result, _ = command("cluster", "show", "mycluster")
        assert code == 0
        assert "Nodes:          1: 1 idle, 0 running" in result
        assert "/data at share" in result

    def test_scale(self, command):
        """To a number of nodes, and between two; wrong numbers name the rule."""
        code, result, messages = command("cluster", "scale", "mycluster", "--nodes", 2, "--wait")
        assert (code, "Scale:          2" in result) == (0, True)
        assert "Idle: 2" in messages
        code, result, _ = command("cluster", "scale", "mycluster", "--min", 1, "--max", 3, "--json")
        scale = json.loads(result)["properties"]["scaleSettings"]
        assert scale["autoScale"]["maximumNodeCount"] == 3
        assert command("cluster", "scale", "mycluster", "--nodes", 1)[0] == 0
        for wrong in (["--nodes", -1], ["--min", 1], [], ["--nodes", 1, "--max", 1]):
            code, _, messages = command("cluster", "scale", "mycluster", *wrong)
            assert (code, messages.startswith("Error: ")) == (2, True)

    def test_a_name_that_is_not_there(self, command):
        """Is answered with the nearest one."""
        code, _, messages = command("cluster", "show", "myclster")
        assert (code, messages) == (
            2,
            "Error: There is no cluster 'myclster': did you mean 'mycluster'?\n",
        )
        code, _, messages = command("cluster", "list", "-w", "myworkspac")
        assert (code, "did you mean 'myworkspace'?" in messages) == (2, True)
        code, _, messages = command("cluster", "list", "-g", "nogroup")
        assert (code, messages) == (
            2,
            "Error: There is no resource group 'nogroup': did you mean 'mygroup'?\n",
        )

    def test_two_of_one_name_have_to_be_told_apart(self, running, command):
        """By their workspace, or by the resource id."""
        other = TrainingSession(
            ClusterBuilder("mycluster").vm_size("STANDARD_D1").nodes(0),
            connection=running[1]._active().connection,
            resource_group="mygroup",
            workspace="other",
        )
        with other:
            code, _, messages = command("cluster", "show", "mycluster")
            assert (code, "There are 2 clusters" in messages) == (2, True)
            identity = messages.splitlines()[-1].strip()
            assert command("cluster", "show", identity)[0] == 0
            code, _, messages = command("cluster", "delete", "mycluster", "-w", "other")
            assert (code, "--yes" in messages) == (2, True)
            code, result, messages = command("cluster", "delete", identity, "--yes", "--json")
            assert (code, json.loads(result), messages) == (0, {"deleted": identity}, "")
            assert len(json.loads(command("cluster", "list", "--json")[1])) == 1


class TestJob:
    """The commands of jobs."""

    def test_list(self, command):
        """With states and exit codes."""
        code, result, _ = command("job", "list", "-e", "first")
        titles, *lines = result.splitlines()
        rows = {line.split()[0]: line.split()[1:5] for line in lines}
        assert code == 0
        assert titles.startswith("NAME")
        assert rows["good"] == ["succeeded", "0", "1", "custom"]
        assert rows["bad"] == ["failed", "7", "1", "custom"]
        code, _, messages = command("job", "list", "-e", "frst")
        assert (code, "did you mean 'first'?" in messages) == (2, True)

    def test_show(self, command, tmp_path):
        """Why it failed; as JSON it reads as a configuration file."""
        code, result, _ = command("job", "show", "bad")
        assert code == 0
        assert "Exit code:      7" in result
        assert "JobFailed" in result or "exit" in result
        _, result, _ = command("job", "show", "good", "--json")
        (tmp_path / "shown.json").write_text(result)
        again = JobBuilder.from_file(tmp_path / "shown.json")
        assert (again.name, again.command[:8]) == ("good", "echo out")

    def test_logs(self, command):
        """Of all processes after their names; one alone as it is; the end of one."""
        code, result, _ = command("job", "logs", "good")
        assert (code, result) == (0, "stdout.txt: out\nstderr.txt: err\n")
        assert command("job", "logs", "good", "stdout.txt")[1] == "out\n"
        assert command("job", "logs", "good", "stdout.txt", "--follow")[1] == "out\n"
        result = command("job", "logs", "good", "execution.log", "--last", 1)[1]
        assert len(result.splitlines()) == 1
        assert json.loads(command("job", "logs", "bad", "std*", "--json")[1]) == {
            "stderr.txt": "no luck\n",
            "stdout.txt": "",
        }
        code, _, messages = command("job", "logs", "good", "stdot.txt")
        assert (code, "did you mean 'stdout.txt'?" in messages) == (2, True)
        assert command("job", "logs", "good", "--follow", "--last", 1)[0] == 2

    def test_logs_as_json_while_they_are_written(self, command):
        """An object for each line, with its log."""
        code, result, _ = command("job", "logs", "good", "--follow", "--json")
        lines = [json.loads(line) for line in result.splitlines()]
        assert code == 0
        assert sorted(lines, key=str) == [
            {"file": "stderr.txt", "line": "err"},
            {"file": "stdout.txt", "line": "out"},
        ]
        one = command("job", "logs", "good", "stdout.txt", "--follow", "--json")[1]
        assert json.loads(one) == {"file": "stdout.txt", "line": "out"}

    def test_a_job_without_logs_says_so(self, running, command):
        """Rather than nothing at all."""
        running[1].submit(CustomJobBuilder("wide").nodes(9).command_line("true"))
        code, result, messages = command("job", "logs", "wide")
        assert (code, result) == (0, "")
        assert messages == "Job wide has written no log; it is queued\n"
        command("job", "delete", "wide", "--yes")

    def test_files(self, command):
        """Of all directories, or of one; never with the links that read them."""
        _, result, _ = command("job", "files", "good")
        found = {tuple(line.split()[:3]) for line in result.splitlines()[1:]}
        assert {("stdouterr", "stdout.txt", "4"), ("MODEL", "model.txt", "8")} <= found
        _, result, _ = command("job", "files", "good", "--id", "MODEL", "--json")
        (file,) = json.loads(result)
        assert (file["path"], set(file)) == ("model.txt", {"id", "path", "size", "lastModified"})
        code, _, messages = command("job", "files", "good", "--id", "MODLE")
        assert (code, messages) == (
            2,
            "Error: Job good has no output directory 'MODLE': did you mean 'MODEL'?\n",
        )

    def test_download(self, command, tmp_path):
        """Each directory to a folder of its id; the result names the files."""
        code, result, _ = command("job", "download", "good", tmp_path / "all")
        assert code == 0
        assert (tmp_path / "all" / "MODEL" / "model.txt").read_text() == "weights\n"
        assert (tmp_path / "all" / "stdouterr" / "stdout.txt").read_text() == "out\n"
        assert str(tmp_path / "all" / "MODEL" / "model.txt") in result.splitlines()
        (tmp_path / "file").write_text("in the way")
        code, _, messages = command("job", "download", "good", tmp_path / "file", "--json")
        assert (code, messages.startswith("Error: Cannot download to")) == (2, True)

    def test_terminate_and_delete(self, running, command):
        """A job that would run on; deleting it leaves its files."""
        running[1].submit(CustomJobBuilder("endless").command_line("sleep 1000"))
        code, _, messages = command("job", "terminate", "endless")
        assert (code, messages.splitlines()[-1][:11]) == (0, "Job state: ")
        job = json.loads(command("job", "show", "endless", "--json")[1])
        code, result, _ = command("job", "delete", "endless", "-y", "--json")
        assert (code, json.loads(result)) == (0, {"deleted": job["id"]})
        code, _, messages = command("job", "show", "endless")
        assert code == 2
        assert "There is no job 'endless': there is 'bad', 'good'" in messages


def test_an_empty_service_says_so(tmp_path, monkeypatch, capsys):
    """On standard error; the JSON is an empty list."""
    monkeypatch.setenv("BATCHAI_RECIPES_STATE_DIR", str(tmp_path))
    with Connection.embedded(tmp_path):
        for noun in ("cluster", "job"):
            for more, printed in (
                ((), ("", f"There is no {noun}\n")),
                (("--json",), ("[]\n", "")),
            ):
                monkeypatch.setattr(sys, "argv", ["batchai-recipes", noun, "list", *more])
                with pytest.raises(SystemExit) as ended:
                    cli.main()
                assert ended.value.code == 0
                assert capsys.readouterr() == printed
