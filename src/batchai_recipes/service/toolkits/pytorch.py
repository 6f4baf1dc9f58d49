"""Jobs of PyTorch: one process for each rank, which meet by themselves or through MPI."""

from batchai_recipes.service.toolkits.mpi import mpi_process, process_count
from batchai_recipes.service.toolkits.python_script import python_command, python_program
from batchai_recipes.service.toolkits.ranks import Rank, spread
from batchai_recipes.service.toolkits.toolkit import RANK, Process, ToolkitError, ToolkitJob

_BACKENDS = ("gloo", "nccl", "mpi", "tcp")
_MPI_RANK = {
    "RANK": "$OMPI_COMM_WORLD_RANK",
    "LOCAL_RANK": "$OMPI_COMM_WORLD_LOCAL_RANK",
    "LOCAL_WORLD_SIZE": "$OMPI_COMM_WORLD_LOCAL_SIZE",
}


def pytorch(job: ToolkitJob) -> tuple[Process, ...]:
    """Make the processes of a PyTorch job.

    A program finds what it needs to join its process group in Batch AI's own variables
    (``AZ_BATCHAI_PYTORCH_INIT_METHOD`` and ``AZ_BATCHAI_TASK_INDEX``) and in those that torchrun
    sets, which the init method ``env://`` reads.

    Args:
        job: The job; its settings are ``pyTorchSettings``.

    Returns:
        A process for each rank, or with the backend ``mpi`` the one that starts them.

    Raises:
        ToolkitError: No script is named, or the backend is unknown.

    Source:
        https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables
    """
    count = process_count(job)
    ranks = spread(count, len(job.nodes))
    backend = _backend(job, ranks)
    command_line = f"exec {python_command(job.settings, job.interpreter)}"
    program = python_program(job.settings, job.interpreter)
    address = job.nodes[0].address
    (port,) = job.ports(0, 1)
    common = {
        "AZ_BATCHAI_PYTORCH_BACKEND": backend,
        "AZ_BATCHAI_PYTORCH_INIT_METHOD": _init_method(job, backend, address, port),
        "MASTER_ADDR": address,
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
    }
    if backend == "mpi":
        return (mpi_process(job, command_line, program, common=common, of_rank=_MPI_RANK),)
    return tuple(
        Process(
            rank.node_index,
            command_line,
            program,
            {**common, **_of_rank(job, rank)},
            RANK,
            rank.rank,
        )
        for rank in ranks
    )


def _backend(job: ToolkitJob, ranks: tuple[Rank, ...]) -> str:
    asked = str(job.settings.get("communicationBackend") or "").casefold()
    if not asked:
        has_gpus = all(job.nodes[r.node_index].gpu_count >= r.local_size for r in ranks)
        return "nccl" if has_gpus else "gloo"
    if asked not in _BACKENDS:
        raise ToolkitError(
            f"pyTorchSettings.communicationBackend is {asked!r}: use one of {', '.join(_BACKENDS)}"
        )
    return asked


def _init_method(job: ToolkitJob, backend: str, address: str, port: int) -> str:
    if backend == "gloo" and len({node.address for node in job.nodes}) == 1:
        # As Batch AI had it: a file needs no port that somebody else could take.
        return f"file://{job.shared_temp}/pytorch"
    return f"tcp://{address}:{port}"


def _of_rank(job: ToolkitJob, rank: Rank) -> dict[str, str]:
    variables = {
        "RANK": str(rank.rank),
        "LOCAL_RANK": str(rank.local_rank),
        "LOCAL_WORLD_SIZE": str(rank.local_size),
        "GROUP_RANK": str(rank.node_index),
    }
    interface = job.nodes[rank.node_index].interface
    if interface:
        variables |= {"GLOO_SOCKET_IFNAME": interface, "NCCL_SOCKET_IFNAME": interface}
    if rank.local_size > 1:
        variables["OMP_NUM_THREADS"] = "1"  # as torchrun does, lest they fight for the cores
    return variables
