"""Commands on other nodes of a job, as ``mpirun`` starts its daemons there."""

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from batchai_recipes.service.engines.engine import Ended, Task, TaskKey
from batchai_recipes.service.engines.ray.messages import Home, Launch, Refusal
from batchai_recipes.service.engines.ray.node import RayNode
from batchai_recipes.service.engines.ray.peers import Peer

PATIENCE_SECONDS = 30.0
RUN = "uid.1"
OWNER = ("job", RUN)
NODES = {"first": "10.0.0.4", "second": "10.0.0.5"}
PEERS = tuple(Peer(node_id, address) for node_id, address in NODES.items())
ASK = "$OMPI_MCA_plm_rsh_agent"


class Nodes:
    """Two nodes that reach each other as actors of Ray do; this machine stands for two."""

    def __init__(self, folder):
        self.folder = folder
        home = Home("id", str(folder / "nodes"), str(folder / "probe"), str(folder / "state"))
        self._changed = threading.Condition()
        self.by_id = {
            node_id: RayNode(node_id, home, "group", address, "machine", reach=self._reach)
            for node_id, address in NODES.items()
        }
        for node in self.by_id.values():
            node.prepare((), 0)

    def _reach(self, node_id, method, /, *arguments):
        return getattr(self.by_id[node_id], method)(*arguments)

    def launch(self, command_line, *, node="first", name="mpirun-0", peers=PEERS, **environment):
        """Launch a task on a node."""
        task = Task(
            key=TaskKey("job", "uid", name),
            node_id=node,
            label="job",
            command_line=command_line,
            environment=environment,
            working_directory=str(self.folder),
            directories=(str(self.folder / "nodes/nodes/first/mounts/share/out"),),
            stdout=str(self.folder / "stdout.txt"),
            stderr=str(self.folder / "stderr.txt"),
            log=str(self.folder / "execution.log"),
            grace_seconds=1.0,
        )
        return self.by_id[node].launch(Launch(task, RUN, (), peers))

    def end_of(self, name="mpirun-0", node="first"):
        """Wait for the end of a task, as the service hears of it."""
        received = 0
        while True:
            changes = self.by_id[node].changes(1, received, PATIENCE_SECONDS)
            received = changes.number
            status = changes.tasks.get(OWNER, {}).get(name)
            if isinstance(status, Ended):
                return status

    def said(self, suffix="stdout"):
        """What the task wrote."""
        return (self.folder / f"{suffix}.txt").read_text()


@pytest.fixture
def nodes(tmp_path):
    """Two nodes."""
    (tmp_path / "state").mkdir()
    made = Nodes(tmp_path)
    yield made
    for node in made.by_id.values():
        node.release_run(RUN)
        node.end()


def test_a_command_runs_on_the_other_node(nodes):
    """With the job's variables, in the other node's folder; its output and exit code come back."""
    nodes.launch(f"{ASK} 10.0.0.5 echo '$MINE $PWD;' echo wrong '>&2; exit 3'", MINE="a b")
    assert nodes.end_of().exit_code == 3
    jobs = nodes.folder / "nodes/jobs"
    assert nodes.said() == f"a b {jobs / RUN}/temp-second\n"
    assert nodes.said("stderr") == "wrong\n"
    assert (nodes.folder / "nodes/nodes/second/mounts/share/out").is_dir()


def test_a_host_that_is_no_node_of_the_job_is_refused(nodes):
    """And named, with those that are."""
    nodes.launch(f"{ASK} 10.0.0.6 true")
    assert nodes.end_of().exit_code == 255
    assert "10.0.0.6 is none of the job's nodes, which are 10.0.0.4, 10.0.0.5" in nodes.said(
        "stderr"
    )


def test_options_of_remote_shells_are_understood(nodes):
    """Hydra gives ssh an option before the host; a command has to follow the host."""
    nodes.launch(f"{ASK} -x 10.0.0.5 true && {ASK} 10.0.0.5")
    assert nodes.end_of().exit_code == 255
    assert "give the address of a node and a command" in nodes.said("stderr")


def test_who_is_no_process_of_the_job_is_refused(nodes, fifo):
    """Although it runs as the same user, while the job runs."""
    path, line = fifo
    nodes.launch(f"echo {ASK} > {path}; exec sleep 1000")
    agent = line().strip()
    done = subprocess.run([agent, "10.0.0.5", "true"], capture_output=True, text=True, check=False)
    assert done.returncode == 255
    assert "only a running job's own processes" in done.stderr


def test_a_job_on_one_machine_asks_nobody(nodes):
    """So nothing listens."""
    alone = (Peer("first", "10.0.0.4"), Peer("second", "10.0.0.4"))
    nodes.launch('echo "[$OMPI_MCA_plm_rsh_agent]"', peers=alone)
    nodes.end_of()
    assert nodes.said() == "[]\n"


@pytest.mark.parametrize("how", ["agent", "task", "terminated", "released"])
def test_nothing_stays_on_the_other_node(nodes, fifo, processes, how):
    """When whoever asked is killed, its task is or ends, or the job is released."""
    path, line = fifo
    nodes.launch(f"{ASK} 10.0.0.5 'echo $$ > {path}; trap \"\" TERM; sleep 1000 & wait' & wait")
    remote = int(line())
    (asking,) = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _asks(p)]
    if how == "agent":
        os.kill(asking, signal.SIGKILL)
    elif how == "task":
        os.kill(_parent(asking), signal.SIGKILL)
    elif how == "terminated":
        nodes.by_id["first"].terminate("job", RUN, "mpirun-0")
    else:
        nodes.by_id["second"].release_run(RUN)
    processes.wait_until_gone(remote)
    nodes.end_of()


def _asks(process):
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(word.endswith(b"/mpi_agent.py") for word in words) and b"10.0.0.5" in words


def _parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_task_has_not_ended_before_what_it_has_elsewhere_has(nodes, fifo, gate):
    """Since what that writes belongs to the job."""
    path, line = fifo
    last = nodes.folder / "last"
    remote = f'trap "sleep 0.3; touch {last}; exit" TERM; echo up > {path}; sleep 1000 & wait'
    nodes.launch(f"{ASK} 10.0.0.5 '{remote}' & read x < {gate}")
    line()
    gate.write_text("go\n")
    nodes.end_of()
    assert last.exists()
    assert not nodes.by_id["second"]._report.tasks(OWNER)  # the service launched nothing there


def test_a_lost_node_is_reported(nodes):
    """The command counts as failed, and says why."""

    def lost(*_):
        raise RuntimeError("The actor is dead.\nmuch more")

    nodes.by_id["second"].launch = lost
    nodes.launch(f"{ASK} 10.0.0.5 true")
    assert nodes.end_of().exit_code == 255
    assert nodes.said("stderr") == "the node at 10.0.0.5 is lost: The actor is dead.\n"


def test_a_node_may_refuse(nodes):
    """Then its reason is what the command says."""
    nodes.by_id["second"].launch = lambda _: Refusal("MountError", "no share")
    nodes.launch(f"{ASK} 10.0.0.5 true")
    assert nodes.end_of().exit_code == 255
    assert nodes.said("stderr") == "no share\n"
