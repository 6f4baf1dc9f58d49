"""The state of a cluster, and waiting for it."""

import pytest
from azure.mgmt.batchai.models import Cluster

from batchai_recipes import ClusterError, WaitTimeoutError
from batchai_recipes.session.cluster_state import ClusterState, wait_until_ready


def cluster(state="steady", *, target=1, errors=(), **counts):
    """Return a cluster as a service would describe it."""
    body = {
        "properties": {
            "allocationState": state,
            "currentNodeCount": sum(counts.values()),
            "scaleSettings": {"manual": {"targetNodeCount": target}},
            "nodeStateCounts": {f"{name}NodeCount": count for name, count in counts.items()},
            "errors": list(errors),
        }
    }
    return Cluster.deserialize(body)


def wait(clusters, clock, **options):
    """Wait for a cluster that is described by one of `clusters` after the other."""
    said = []
    look = iter(clusters)
    options = {"timeout": None, **options}
    state = wait_until_ready(
        "c", lambda: next(look), report=said.append, pacing=clock.pacing(), **options
    )
    return state, said


def test_each_change_is_reported_once_in_the_words_of_the_quickstart(clock):
    """The same state twice is one line."""
    preparing = cluster("resizing", preparing=1)
    _, said = wait([preparing, preparing, cluster(idle=1)], clock)

    start, none = "Cluster state:", "Unusable: 0; Running: 0"
    assert said == [
        f"{start} resizing Target: 1; Allocated: 1; Idle: 0; {none}; Preparing: 1; Leaving: 0",
        f"{start} steady Target: 1; Allocated: 1; Idle: 1; {none}; Preparing: 0; Leaving: 0",
    ]


def test_steady_but_still_preparing_is_waited_for(clock):
    """The real service reported a cluster steady before its nodes were idle."""
    state, said = wait([cluster(preparing=1), cluster(idle=1)], clock)

    assert (len(said), state.idle) == (2, 1)


def test_a_cluster_of_no_nodes_is_ready(clock):
    """Nothing is missing."""
    state, _ = wait([cluster(target=0)], clock)

    assert state.target == 0


def test_unusable_nodes_end_the_wait_with_the_reasons(clock):
    """Waiting longer would not help."""
    errors = [{"code": "ShareMountFailed", "message": "check the key"}]
    broken = cluster(errors=errors, unusable=1)

    with pytest.raises(ClusterError, match="1 of 1 nodes are unusable.*\n.*check the key"):
        wait([broken], clock)


def test_the_end_of_a_setup_tasks_standard_error_is_shown(clock):
    """Nobody has to look for it."""
    stderr = {"name": "stderr", "value": "one\ncannot log in"}
    error = {"code": "NodeSetupTaskFailed", "message": "exit code 3", "details": [stderr]}

    with pytest.raises(ClusterError) as raised:
        wait([cluster(errors=[error], unusable=1)], clock)
    shown = "  NodeSetupTaskFailed: exit code 3\n    stderr: one\n    cannot log in"
    assert str(raised.value).partition("\n")[2] == shown


def test_a_wait_can_be_bounded(clock):
    """The last state is in the message."""
    with pytest.raises(WaitTimeoutError, match="within 10 s .*resizing"):
        wait(iter(lambda: cluster("resizing"), None), clock, timeout=10)


def test_an_auto_scale_cluster_wants_what_it_has():
    """It has no manual target."""
    described = Cluster.deserialize({"properties": {"currentNodeCount": 2}})

    assert ClusterState.of(described).target == 2
