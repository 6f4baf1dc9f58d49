"""What mpirun cannot do on a Ray cluster is refused, with what to do."""

import pytest

from batchai_recipes.service.engines.engine import EngineError
from batchai_recipes.service.engines.ray.messages import Launch
from batchai_recipes.service.engines.ray.mpi_limits import check_mpi
from batchai_recipes.service.engines.ray.peers import Peer

TWO_MACHINES = (Peer("one", "10.0.0.4"), Peer("two", "10.0.0.5"))
ONE_MACHINE = (Peer("one", "10.0.0.4"), Peer("two", "10.0.0.4"))


@pytest.fixture
def check(new_task):
    """Check a command of a job on some nodes."""

    def check(command, peers, *, in_container=False, has_copies=False):
        launch = Launch(new_task(command), "uid.1", peers=peers)
        check_mpi(
            launch, "10.0.0.4", in_container=in_container, has_copies=has_copies, state="/state"
        )

    return check


@pytest.mark.parametrize(
    ("command", "peers", "in_container", "has_copies"),
    [
        ("mpirun true", TWO_MACHINES, False, True),
        ("mpirun true", TWO_MACHINES, False, False),
        ("mpirun true", ONE_MACHINE, True, False),
        ("true", TWO_MACHINES, True, True),
        ("true", ONE_MACHINE, True, True),
    ],
)
def test_all_else_is_let_through(check, command, peers, in_container, has_copies):
    """Other commands, other machines without containers, containers on one machine."""
    check(command, peers, in_container=in_container, has_copies=has_copies)


def test_a_container_reaches_no_other_machine(check):
    """There is no agent in it."""
    with pytest.raises(EngineError, match="--containers never, or with --ray-strategy PACK"):
        check("mpirun true", TWO_MACHINES, in_container=True)


def test_nodes_of_one_machine_would_lose_what_others_write(check):
    """Each has copies of its own, and the ranks of all are started by one."""
    with pytest.raises(EngineError, match=r"mount /state on 10\.0\.0\.4, or start the service"):
        check("mpirun true", ONE_MACHINE, has_copies=True)
