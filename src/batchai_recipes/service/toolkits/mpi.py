"""Processes that Open MPI starts: one ``mpirun`` on the master, which starts the ranks."""

import shlex
from collections.abc import Mapping
from itertools import groupby
from typing import Final

from attrs import evolve

from batchai_recipes.service.toolkits.ranks import Rank, spread
from batchai_recipes.service.toolkits.toolkit import MPIRUN, Process, ToolkitJob

_MISSING: Final = (
    "mpirun is not on the PATH of the node: install Open MPI there (Debian and Ubuntu: openmpi-bin)"
)
# Also in the execution log, which is where one looks when nothing has run.
_CHECK: Final = (
    "command -v mpirun >/dev/null || { echo "
    f'"$(date -u +%FT%TZ) {_MISSING}" | tee -a "$AZ_BATCHAI_STDOUTERR_DIR/execution.log" >&2; '
    "exit 127; }"
)
# As in a container. Open MPI refuses it lest one does so by mistake.
_AS_ROOT: Final = (
    'if [ "$(id -u)" = 0 ]; '
    "then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi"
)
_RANK: Final = "$OMPI_COMM_WORLD_RANK"
_DEVICES: Final = "CUDA_VISIBLE_DEVICES"


def process_count(job: ToolkitJob) -> int:
    """Return how many processes a job shall have on all its nodes together.

    Args:
        job: The job; one on each node where its settings name no ``processCount``.
    """
    return int(job.settings.get("processCount") or len(job.nodes))


def mpi_process(
    job: ToolkitJob,
    command_line: str,
    program: str,
    *,
    common: Mapping[str, str] | None = None,
    of_rank: Mapping[str, str] | None = None,
) -> Process:
    """Make the process that starts ``processCount`` ranks of a command.

    The ranks are dealt out in blocks, as evenly as can be. Whichever machine they run on, each has
    the variables of its own node and begins in that node's folder of the job: several nodes may be
    one machine, on which ``mpirun`` tells no nodes apart.

    Args:
        job: The job.
        command_line: What each rank runs, for a shell.
        program: Its program where that has a path.
        common: Variables of all ranks.
        of_rank: Variables of each rank, whose values may name those that Open MPI sets.

    Returns:
        The process.
    """
    count = process_count(job)
    ranks = _ranks(job, count)
    hosts = _hosts(job, ranks)
    exports = {"AZ_BATCHAI_TASK_INDEX": _RANK, **(of_rank or {})}
    of_each = [f"export {' '.join(f'{name}={value}' for name, value in exports.items())}"]
    of_each += _of_nodes(job, ranks)
    words = [
        "exec mpirun",
        f"-np {count}",
        f"--host {','.join(f'{address}:{slots}' for address, slots in hosts)}",
        # Jobs that share a machine would all be bound to its first cores.
        "--bind-to none",
        _launcher(len(hosts)),
        '"${BASH:-sh}" -c',
        shlex.quote("; ".join([*of_each, command_line])),
    ]
    # A rank that waits spins, which is unbearable where it keeps another one from the core.
    most = max(slots for _, slots in hosts)
    yielding = (
        f'if [ {most} -gt "$(nproc 2>/dev/null || echo 1)" ]; '
        "then export OMPI_MCA_mpi_yield_when_idle=1; fi"
    )
    return Process(
        0,
        "; ".join([_CHECK, _AS_ROOT, yielding, " ".join(words)]),
        program,
        {**(common or {}), **_devices(job)},
        MPIRUN,
    )


def _ranks(job: ToolkitJob, count: int) -> tuple[Rank, ...]:
    """Deal ranks out, first to the nodes of the master's machine, then machine by machine."""
    addresses = [node.address for node in job.nodes]
    order = sorted(range(len(addresses)), key=lambda index: addresses.index(addresses[index]))
    return tuple(
        evolve(rank, node_index=order[rank.node_index]) for rank in spread(count, len(order))
    )


def _hosts(job: ToolkitJob, ranks: tuple[Rank, ...]) -> list[tuple[str, int]]:
    """Return the addresses and how many ranks each has; nodes of one machine are one host."""
    addresses = [job.nodes[rank.node_index].address for rank in ranks]
    return [(address, len(list(group))) for address, group in groupby(addresses)]


def _launcher(host_count: int) -> str:
    """Say where Open MPI keeps its files, and that one machine needs no remote shell.

    Shared memory lies in the job's folder too and goes with it, also when mpirun was killed. How
    other machines are reached says the node, in variables of Open MPI.
    """
    alone = host_count == 1
    folder = '"$AZ_BATCHAI_JOB_TEMP"' if alone else '"$AZ_BATCHAI_SHARED_JOB_TEMP"'
    kept = f"--mca orte_tmpdir_base {folder} --mca btl_vader_backing_directory {folder}"
    return f"--mca plm isolated {kept}" if alone else kept


def _of_nodes(job: ToolkitJob, ranks: tuple[Rank, ...]) -> list[str]:
    """Write how a rank takes on the variables of its node, where they differ from the master's."""
    cases = []
    for index, variables in enumerate(job.variables):
        others = {
            name: value
            for name, value in variables.items()
            if job.variables[0].get(name) != value and name != _DEVICES
        }
        here = [str(rank.rank) for rank in ranks if rank.node_index == index]
        if others and here:
            values = " ".join(f"{name}={shlex.quote(value)}" for name, value in others.items())
            cases.append(f'{"|".join(here)}) export {values}; cd "$AZ_BATCHAI_JOB_TEMP";;')
    return [f"case {_RANK} in {' '.join(cases)} esac"] if cases else []


def _devices(job: ToolkitJob) -> dict[str, str]:
    """Let the ranks of one machine see the GPUs of all its nodes: MPI's local ranks count there."""
    sharing = [node for node in job.nodes if node.address == job.nodes[0].address]
    visible = [node.environment.get(_DEVICES) for node in sharing]
    devices = [one for one in visible if one]
    return {_DEVICES: ",".join(devices)} if len(devices) > 1 else {}
