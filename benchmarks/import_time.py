"""What importing the library costs beyond a bare interpreter, beside its peers.

    python benchmarks/import_time.py [--peers PYTHON]

Each program is started in turn, over and over; the median of its processor time less that of the
bare interpreter is printed. These programs wait for nothing, so that is what they take on a machine
that does nothing else. PYTHON is one that has submitit and TorchX.
"""

import argparse
import resource
import statistics
import subprocess
import sys

ROUNDS = 21
FOUR = "azure.identity, azure.mgmt.batchai, azure.mgmt.resource.resources, azure.storage.file"
OWN = {
    "batchai_recipes": "import batchai_recipes",
    "batchai_recipes, every public name": "from batchai_recipes import *",
    "the four Azure packages": f"import {FOUR}",
}
PEERS = {"submitit": "import submitit", "TorchX": "import torchx.runner"}


def seconds(python: str, program: str) -> float:
    """Return the processor time that a program takes, its interpreter's start included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, "-W", "ignore", "-c", program], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="a Python that has submitit and TorchX")
    arguments = parser.parse_args()
    programs = {name: (sys.executable, program) for name, program in OWN.items()}
    bare = {sys.executable: [seconds(sys.executable, "pass")]}
    if arguments.peers:
        programs |= {name: (arguments.peers, program) for name, program in PEERS.items()}
        bare[arguments.peers] = [seconds(arguments.peers, "pass")]
    taken: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS):
        for python, times in bare.items():
            times.append(seconds(python, "pass"))
        for name, (python, program) in programs.items():
            taken[name].append(seconds(python, program))
    for name, (python, _) in programs.items():
        own = statistics.median(taken[name]) - statistics.median(bare[python])
        print(f"{name}: {1000 * own:.0f} ms")


if __name__ == "__main__":
    main()
