"""What jobs of the embedded service find on this machine."""

import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from batchai_recipes.cli.cntk_python import cntk_python
from batchai_recipes.cli.doctor.diagnosis import Diagnosis
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.settings import default_state_dir

_GIB: Final = 1 << 30
_NEEDED_BYTES: Final = 1 * _GIB
_PATIENCE_SECONDS: Final = 20


def check_disk(state_dir: Path | None) -> Iterator[Diagnosis]:
    """Check that there is room for shares and jobs.

    Args:
        state_dir: The state directory, if the user named one.
    """
    folder = (state_dir or default_state_dir()).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK):
        advice = "name another state directory: --state-dir or BATCHAI_RECIPES_STATE_DIR"
        yield Diagnosis("Disk", "failed", f"{there} is not writable", advice)
        return
    free = shutil.disk_usage(there).free
    found = f"{free / _GIB:.1f} GiB free for {folder}"
    if free >= _NEEDED_BYTES:
        yield Diagnosis("Disk", "ok", found)
    else:
        advice = "make room, or name another state directory: --state-dir"
        yield Diagnosis("Disk", "failed", found, advice)


def check_gpus() -> Iterator[Diagnosis]:
    """Look for GPUs that jobs can use."""
    from batchai_recipes.service.engines.gpus import Nvml, visible_gpus  # noqa: PLC0415 - the service's own, for this check

    count = len(visible_gpus(Nvml(), os.environ))
    if count:
        yield Diagnosis("GPUs", "ok", str(count))
    else:
        advice = "jobs run on the processor; for a GPU, install NVIDIA's driver"
        yield Diagnosis("GPUs", "missing", "none", advice)


def check_mpi() -> Iterator[Diagnosis]:
    """Look for Open MPI."""
    advice = (
        "needed by jobs of Horovod, Chainer, CNTK and MPI with several processes: install Open "
        "MPI (Debian and Ubuntu: openmpi-bin)"
    )
    program = shutil.which("mpirun")
    if program is None:
        yield Diagnosis("MPI", "missing", "mpirun is not on the PATH", advice)
        return
    try:
        done = subprocess.run(  # noqa: S603 - the one that jobs would run
            [program, "--version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        yield Diagnosis("MPI", "missing", f"{program}: {error}", advice)
        return
    first = (done.stdout.strip() or done.stderr.strip() or "says nothing").splitlines()[0]
    if "Open MPI" in first and done.returncode == 0:
        yield Diagnosis("MPI", "ok", first)
    else:
        yield Diagnosis("MPI", "missing", f"{program} is another one: {first}", advice)


def check_containers() -> Iterator[Diagnosis]:
    """Look for something that runs containers."""
    from batchai_recipes.service.engines.containers import Containers  # noqa: PLC0415 - likewise

    usable, refusal = Containers("auto", os.environ).runtimes()
    if usable:
        yield Diagnosis("Containers", "ok", ", ".join(usable))
    else:
        advice = "jobs that name an image run on the host; for containers, install Podman or Docker"
        yield Diagnosis("Containers", "missing", refusal, advice)


def check_pytorch() -> Iterator[Diagnosis]:
    """Look for PyTorch, which the quickstart and many jobs train with."""
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        advice = 'for the quickstart: pip install "batchai-recipes[trainer]"'
        yield Diagnosis("PyTorch", "missing", "not installed", advice)
    else:
        yield Diagnosis("PyTorch", "ok", version)


def check_cntk() -> Iterator[Diagnosis]:
    """Look for a Python that has CNTK."""
    try:
        yield Diagnosis("CNTK", "ok", str(cntk_python(None)))
    except ConfigurationError as error:
        found, _, advice = str(error).partition(": ")
        yield Diagnosis("CNTK", "missing", found, advice)
