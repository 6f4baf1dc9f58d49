"""Counting the graphics processors that a process started here would see."""

import shutil
import subprocess
from collections.abc import Mapping

_PATIENCE_SECONDS = 10.0


def visible_gpus(environment: Mapping[str, str]) -> int:
    """Count the NVIDIA GPUs that CUDA shows to a process.

    Args:
        environment: The variables that the process starts with; ``CUDA_VISIBLE_DEVICES`` limits it.

    Returns:
        How many there are; 0 when the machine has none or its driver does not answer.

    Example:
        >>> visible_gpus({"PATH": "/nowhere"})
        0
    """
    program = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if program is None:
        return 0
    try:
        answer = subprocess.run(  # noqa: S603  # a fixed command, found on the service's own PATH
            [program, "-L"], capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    present = sum(line.startswith("GPU ") for line in answer.stdout.splitlines())
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    return present if chosen is None else min(present, _count_chosen(chosen))


def _count_chosen(devices: str) -> int:
    """Count the devices of a ``CUDA_VISIBLE_DEVICES``: CUDA stops at the first invalid one.

    Example:
        >>> [_count_chosen(text) for text in ("", "0", "0,1", "-1", "1,-1,0", "GPU-8932f937")]
        [0, 1, 2, 0, 1, 1]
    """
    count = 0
    for device in devices.split(","):
        name = device.strip()
        if not (name.isdigit() or name.startswith(("GPU-", "MIG-"))):
            break
        count += 1
    return count
