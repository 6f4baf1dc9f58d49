"""Sessions that use the same resource group and file share at the same time, in every order."""

import contextlib
import os
import random
import subprocess
import sys
import threading

import pytest

from batchai_recipes import ClusterBuilder, Connection, FileShareStaging, Pacing, TrainingSession

ROUNDS = int(os.environ.get("BATCHAI_RECIPES_RACE_ROUNDS", "4"))
# An order in which one session has come and gone between the look and the request of the other.
ENDS_BETWEEN = 37
# Here one session has deleted an experiment, and not yet what was noted of it.
DELETES_BETWEEN = 30
REQUESTS = 54  # of a session from its beginning to its end


class Turns:
    """Lets two programs send their requests one at a time, in an order that is given.

    Args:
        order: Whose turn it is, by number; when it is used up, whoever asks is let through.
    """

    def __init__(self, order):
        self._order = list(order)
        self._changed = threading.Condition()
        self._ended = set()
        self.taken = []

    def take(self, who):
        """Wait for the turn of a program, and use it."""
        with self._changed:
            while self._next() not in {who, None}:
                self._changed.wait()
            if self._order:
                self._order.pop(0)
            self.taken.append(who)
            self._changed.notify_all()

    def end(self, who):
        """Wait for a program no more."""
        with self._changed:
            self._ended.add(who)
            self._changed.notify_all()

    def _next(self):
        while self._order and self._order[0] in self._ended:
            self._order.pop(0)
        return self._order[0] if self._order else None


def in_turn(connection, turns, who):
    """Let each request of a connection wait for its turn."""
    batchai = connection.batchai._client._pipeline._transport
    resources = connection.resources._client._pipeline._transport
    files = connection.files._httpclient.session
    for owner, name in ((batchai, "send"), (resources, "send"), (files, "request")):
        setattr(owner, name, _waiting(getattr(owner, name), turns, who))


def _waiting(send, turns, who):
    def wait(*arguments, **options):
        turns.take(who)
        return send(*arguments, **options)

    return wait


@pytest.fixture
def staging(tmp_path):
    """A share that neither session finds at first."""
    (tmp_path / "train.py").write_text("print('done')")
    return FileShareStaging("data").upload(tmp_path / "train.py")


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service for all races, of which each leaves it as it was."""
    state_dir = tmp_path_factory.mktemp("race") / "state"
    with Connection.embedded(state_dir) as connection:
        yield connection


@pytest.fixture
def race(service, staging):
    """Let two sessions begin and end with their requests in an order; tell what they raised."""
    cluster = ClusterBuilder("c").vm_size("STANDARD_D1").nodes(0).mount(staging, at="share")

    def run(order, **options):
        turns, raised, lived = Turns(order), [], []

        def session(who):
            with Connection.embedded(service.state_dir) as connection:
                in_turn(connection, turns, who)
                try:
                    with TrainingSession(
                        cluster,
                        staging=staging,
                        connection=connection,
                        pacing=Pacing(longest=0.02),
                        **options,
                    ) as entered:
                        connection.resources.resource_groups.get(entered.names.resource_group)
                        connection.batchai.workspaces.get(*entered.names.workspace_place)
                        connection.batchai.clusters.get(*entered.names.cluster_place("c"))
                        connection.batchai.experiments.get(*entered.names.experiment_place)
                        content = connection.files.get_file_to_text("data", None, "train.py")
                        lived.append((who, content.content))
                except BaseException as error:  # noqa: BLE001 - for the test to look at
                    raised.append(error)
                finally:
                    turns.end(who)

        threads = [threading.Thread(target=session, args=(who,)) for who in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return turns.taken, raised, lived

    return run


def left(connection):
    """What there is of sessions, and of what they noted."""
    return (
        [share.name for share in connection.files.list_shares()],
        [group.name for group in connection.resources.resource_groups.list()],
        [path.name for path in connection.journals.glob("*.jsonl")],
    )


def _orders():
    """Give orders of requests: one of them inside the other at each place, and by chance."""
    chance = random.Random(20261124)
    for number in range(max(ROUNDS, ENDS_BETWEEN + 1)):
        length = chance.randrange(1, 8)
        order = [
            who
            for _ in range(40)
            for who in [chance.randrange(2)] * chance.randrange(1, length + 1)
        ]
        if number < ROUNDS or number == ENDS_BETWEEN:
            yield f"by chance {number}", order
    steps = range(REQUESTS // ROUNDS // 2, REQUESTS, max(1, REQUESTS // ROUNDS))
    for first in sorted({*steps, DELETES_BETWEEN}):
        yield f"{first} requests, then all of the other", [0] * first + [1] * 100
        yield f"{first} requests, then half of the other", [0] * first + [1] * 20 + [0] * 100


ORDERS = dict(_orders())


@pytest.mark.parametrize("order", list(ORDERS.values()), ids=list(ORDERS))
def test_two_sessions_never_disturb_each_other_and_leave_nothing(race, service, order):
    """Whoever's request comes when: group and share are there while either lives, and then gone."""
    taken, raised, lived = race(order, resource_group="ours")

    assert raised == [], taken
    assert sorted(lived) == [(0, "print('done')"), (1, "print('done')")], taken
    assert left(service) == ([], [], []), taken


@pytest.mark.parametrize("order", list(ORDERS.values()), ids=list(ORDERS))
def test_two_sessions_in_one_workspace_never_disturb_each_other(race, service, order):
    """Nor those that use what the other has made: cluster and experiment are there for either."""
    names = {"resource_group": "ours", "workspace": "w", "experiment": "e"}
    taken, raised, lived = race(order, use_existing=True, **names)

    assert raised == [], taken
    assert sorted(lived) == [(0, "print('done')"), (1, "print('done')")], taken
    assert left(service) == ([], [], []), taken


@pytest.mark.parametrize("order", list(ORDERS.values()), ids=list(ORDERS))
def test_two_sessions_in_somebodys_workspace_never_disturb_each_other(race, service, order):
    """The workspace stays as it is, without what the sessions have made in it and noted on it."""
    groups, workspaces = service.resources.resource_groups, service.batchai.workspaces
    groups.create_or_update("theirs", {"location": "eastus"})
    workspaces.begin_create("theirs", "w", {"location": "eastus", "tags": {"mine": "yes"}}).wait()
    names = {"resource_group": "theirs", "workspace": "w", "experiment": "e"}
    taken, raised, lived = race(order, use_existing=True, **names)

    assert raised == [], taken
    assert sorted(lived) == [(0, "print('done')"), (1, "print('done')")], taken
    assert workspaces.get("theirs", "w").tags == {"mine": "yes"}, taken
    assert list(service.batchai.clusters.list_by_workspace("theirs", "w")) == [], taken
    assert list(service.batchai.experiments.list_by_workspace("theirs", "w")) == [], taken
    groups.begin_delete("theirs").wait()
    assert left(service) == ([], [], []), taken


@pytest.mark.parametrize("order", [[0, 1] * 60, [0] * 8 + [1] * 100, [0] * 12 + [1, 0] * 60])
def test_of_two_that_would_make_one_workspace_one_is_told_that_it_exists(race, service, order):
    """It deletes nothing of the other's, whatever it had looked for before."""
    _, raised, lived = race(order, resource_group="ours", workspace="w")

    assert len(lived) in {1, 2}
    assert [str(error) for error in raised if "one of this name exists" not in str(error)] == []
    assert len(lived) + len(raised) == 2
    assert left(service) == ([], [], [])


PROGRAM = """
import sys
from batchai_recipes import *

staging = FileShareStaging("data").upload("train.py")
cluster = ClusterBuilder("c").vm_size("STANDARD_D1").nodes(0).mount(staging, at="share")
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[1])):
    with TrainingSession(cluster, staging=staging, resource_group="ours"):
        pass
"""


@pytest.mark.slow
def test_two_processes_at_the_same_time_leave_nothing(staging, environment, state_dir, tmp_path):
    """As they come, again and again."""
    with Connection.embedded(state_dir) as connection, contextlib.ExitStack() as ending:
        programs = [
            ending.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", PROGRAM, str(ROUNDS)],
                    env=environment,
                    cwd=tmp_path,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(2)
        ]
        for program in programs:
            assert program.stdout.readline() == "ready\n"
        for program in programs:
            program.stdin.write("go\n")
            program.stdin.flush()
        ends = [program.communicate()[1] for program in programs]

        assert [(program.returncode, end) for program, end in zip(programs, ends, strict=True)] == [
            (0, ""),
            (0, ""),
        ]
        assert left(connection) == ([], [], [])
