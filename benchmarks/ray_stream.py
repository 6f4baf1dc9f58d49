"""How late a line of a running job arrives at ``stream``, from machines of Ray and from this one.

A job writes lines with the time at which it does, with pauses of 0.05 to 2.5 seconds between them,
so that a client that looks less and less often is met in every phase; they are the same in all
rows. What is told is the time from there to the line in the program that streams it, with the real
clients: on machines of Ray that do not see the share's directory, on machines that do, and on the
local engine. The machines are processes of this one, so all have one clock.

They have networks of their own, as in the tests (root, ``unshare``, ``nsenter``, ``ip``); Ray has
to be installed:

    python benchmarks/ray_stream.py [--lines 150]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchai_recipes import (
    ClusterBuilder,
    Connection,
    ConnectionSettings,
    CustomJobBuilder,
    FileShareStaging,
    TrainingSession,
)

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "support")]

from ray_cluster import RayCluster  # noqa: E402  # a module of the tests

WRITER = """
import random, sys, time
pauses = random.Random(8)
for _ in range(int(sys.argv[1])):
    time.sleep(pauses.uniform(0.05, 2.5))
    print(time.time(), flush=True)
"""


@contextmanager
def a_service(folder: Path, *arguments: str) -> Iterator[Connection]:
    """Run a service whose state is in a folder, and connect to it."""
    env_file = folder / "service.env"
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "batchai_recipes.cli", "serve", *arguments),
            *("--state-dir", str(folder / "state"), "--env-file", str(env_file)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("Stop with"):
                    break
            with Connection(ConnectionSettings.from_file(env_file)) as connection:
                yield connection
        finally:
            process.terminate()


def delays(connection: Connection, folder: Path, lines: int) -> list[float]:
    """Run the job, and return how late each of its lines arrived, in seconds."""
    writer = folder / "writer.py"
    writer.write_text(WRITER)
    staging = FileShareStaging("lines").directory("code").upload(writer)
    cluster = (
        ClusterBuilder("lines")
        .vm_size("STANDARD_D1")
        .admin_user("demo", password="passw0rd")  # for a machine that nobody logs in to
        .mount(staging, at="share")
    )
    job = (
        CustomJobBuilder("lines")
        .input("CODE", staging.mounted("code"))
        .command_line(f"exec {sys.executable} $AZ_BATCHAI_INPUT_CODE/writer.py {lines}")
    )
    with TrainingSession(cluster, staging=staging, connection=connection) as session:
        run = session.submit(job)
        late = [time.time() - float(line) for line in run.stream("stdout.txt")]
        run.wait()
    assert len(late) == lines
    return late


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=150)
    lines = parser.parse_args().lines
    cluster = RayCluster()
    rows: dict[str, list[float]] = {}
    try:
        cluster.start()
        on_ray = (
            *("--engine", "ray", "--ray-address", cluster.address, "--host", cluster.host),
            *("--ray-node-folder", str(cluster.node_folder)),
        )
        with cluster.entered(), tempfile.TemporaryDirectory(prefix="ray-stream-") as name:
            for what, folder, arguments in (
                ("Ray, share not seen", cluster.hidden / "hidden", on_ray),
                ("Ray, share seen", Path(name, "seen"), on_ray),
                ("one machine", Path(name, "local"), ()),
            ):
                folder.mkdir()
                with a_service(folder, *arguments) as connection:
                    rows[what] = delays(connection, folder, lines)
    finally:
        cluster.stop()
    print("| where | lines | median s | 95 % within s | latest s |")
    print("| --- " * 5 + "|")
    for what, late in rows.items():
        within = statistics.quantiles(late, n=20)[-1]
        figures = f"{statistics.median(late):.2f} | {within:.2f} | {max(late):.2f}"
        print(f"| {what} | {lines} | {figures} |")


if __name__ == "__main__":
    main()
