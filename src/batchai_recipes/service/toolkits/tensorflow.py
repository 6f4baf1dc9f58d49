"""Jobs of TensorFlow: a master, workers and parameter servers that know of each other."""

import json
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from batchai_recipes.service.toolkits.python_script import python_command, python_program
from batchai_recipes.service.toolkits.ranks import spread
from batchai_recipes.service.toolkits.toolkit import (
    MASTER,
    SERVER,
    WORKER,
    Process,
    Role,
    ToolkitJob,
)

_ARGUMENTS: Final = {
    MASTER.name: "masterCommandLineArgs",
    WORKER.name: "workerCommandLineArgs",
    SERVER.name: "parameterServerCommandLineArgs",
}
_DISTRIBUTED: Final = (
    *("workerCount", "parameterServerCount"),
    *("workerCommandLineArgs", "parameterServerCommandLineArgs"),
)


@frozen
class _Member:
    """A process of the cluster and where it listens.

    Args:
        role: What it does.
        index: Its number; the master is the first of the workers.
        node_index: The node it runs on.
        address: Its host and port.
    """

    role: Role
    index: int
    node_index: int
    address: str


def tensorflow(job: ToolkitJob) -> tuple[Process, ...]:
    """Make the processes of a TensorFlow job.

    The first worker is the master, has the master's arguments and decides on the job; the others
    end with it. In ``AZ_BATCHAI_WORKER_HOSTS`` it counts as worker 0, as Batch AI's recipes expect,
    and in ``TF_CONFIG`` as the master, as Estimators expect. A job of one process has no
    ``TF_CONFIG``: there is no cluster to describe.

    Args:
        job: The job; its settings are ``tensorFlowSettings``.

    Returns:
        The master's process, then those of workers and parameter servers.

    Raises:
        ToolkitError: No script is named.

    Source:
        https://www.tensorflow.org/guide/distributed_training#setting_up_the_tf_config_environment_variable
    """
    members = _members(job)
    workers = [member for member in members if member.role is not SERVER]
    servers = [member for member in members if member.role is SERVER]
    common = {
        "AZ_BATCHAI_WORKER_HOSTS": ",".join(_addresses(workers)),
        "AZ_BATCHAI_PS_HOSTS": ",".join(_addresses(servers)),
    }
    cluster = {
        "master": _addresses(workers[:1]),
        "worker": _addresses(workers[1:]),
        "ps": _addresses(servers),
    }
    return tuple(_process(job, member, cluster, common) for member in members)


def _members(job: ToolkitJob) -> list[_Member]:
    nodes = len(job.nodes)
    worker_count, server_count = 1, 0
    if nodes > 1 or any(job.settings.get(name) for name in _DISTRIBUTED):
        worker_count = job.settings.get("workerCount") or nodes
        server_count = job.settings.get("parameterServerCount") or 1
    places = [(WORKER if rank.rank else MASTER, rank) for rank in spread(worker_count, nodes)]
    # One on each node, and round again where there are more of them than nodes.
    servers = [(SERVER, index, index % nodes) for index in range(server_count)]
    wanted = [*((role, rank.rank, rank.node_index) for role, rank in places), *servers]
    on_node = [sum(node == index for *_, node in wanted) for index in range(nodes)]
    ports = [iter(job.ports(index, number)) for index, number in enumerate(on_node)]
    return [
        _Member(role, index, node, f"{job.nodes[node].address}:{next(ports[node])}")
        for role, index, node in wanted
    ]


def _process(
    job: ToolkitJob, member: _Member, cluster: dict[str, list[str]], common: dict[str, str]
) -> Process:
    variables = dict(common)
    if sum(map(len, cluster.values())) > 1:
        kind = {MASTER.name: "master", WORKER.name: "worker", SERVER.name: "ps"}[member.role.name]
        index = member.index - 1 if member.role is WORKER else member.index
        variables["TF_CONFIG"] = json.dumps(
            {
                "cluster": {name: hosts for name, hosts in cluster.items() if hosts},
                "task": {"type": kind, "index": index},
                "environment": "cloud",
            }
        )
    arguments = _ARGUMENTS[member.role.name]
    return Process(
        member.node_index,
        f"exec {python_command(job.settings, job.interpreter, arguments)}",
        python_program(job.settings, job.interpreter),
        variables,
        member.role,
        member.index,
    )


def _addresses(members: Iterable[_Member]) -> list[str]:
    return [member.address for member in members]
