"""A program of somebody else's, whose types are checked against the installed wheel."""

import re
from collections.abc import Iterator
from pathlib import Path

from typing_extensions import assert_type

from batchai_recipes import (
    Caffe2JobBuilder,
    CaffeJobBuilder,
    ChainerJobBuilder,
    ClusterBuilder,
    ClusterState,
    CntkJobBuilder,
    Connection,
    CustomJobBuilder,
    CustomMpiJobBuilder,
    FileShareStaging,
    HorovodJobBuilder,
    JobBuilder,
    JobFailedError,
    JobRun,
    KeyVaultSecret,
    Metrics,
    PyTorchJobBuilder,
    SessionPlan,
    StateChange,
    TensorFlowJobBuilder,
    TrainingSession,
)

STAGING = FileShareStaging("data").directory("code").upload("train.py").upload_tree("package")
CLUSTER = (
    ClusterBuilder("mycluster")
    .vm_size("STANDARD_NC6")
    .auto_scale(minimum=0, maximum=2)
    .low_priority()
    .admin_user("demo", password="a password")
    .mount(STAGING, at="share")
    .setup_task("true", secrets={"TOKEN": KeyVaultSecret("/vaults/mine", "https://mine/one")})
)
SCRIPT = "$AZ_BATCHAI_INPUT_CODE/train.py"


def jobs() -> Iterator[JobBuilder]:
    """Describe a job of each toolkit; each method gives the builder that it was asked of."""
    yield assert_type(
        CntkJobBuilder("cntk").input("CODE", STAGING.mounted("code")).script(SCRIPT).processes(2),
        CntkJobBuilder,
    )
    yield TensorFlowJobBuilder("tensorflow").script(SCRIPT).workers(2).parameter_servers(1)
    yield PyTorchJobBuilder("pytorch").script(SCRIPT).communication_backend("gloo").nodes(2)
    yield CaffeJobBuilder("caffe").config_file("solver.prototxt")
    yield Caffe2JobBuilder("caffe2").script(SCRIPT).args("--epochs", "2")
    yield ChainerJobBuilder("chainer").script(SCRIPT).processes(2)
    yield HorovodJobBuilder("horovod").script(SCRIPT).processes(2)
    yield CustomMpiJobBuilder("mpi").command_line("true").processes(2)
    yield CustomJobBuilder("custom").command_line("true").secret("TOKEN", "open sesame")


def train(folder: Path) -> float:
    """Run the jobs and return the last loss of the first."""
    with (
        Connection.embedded(folder) as connection,
        TrainingSession(CLUSTER, staging=STAGING, connection=connection) as session,
    ):
        assert_type(session.plan(*jobs()), SessionPlan)
        assert_type(session.cluster_state(), ClusterState)
        run = assert_type(session.submit(next(jobs())), JobRun)
        for line in run.stream("stdout.txt"):
            print(line.upper())
        for change in run.events():
            print(assert_type(change, StateChange).state)
        try:
            run.wait(timeout=60.0)
        except JobFailedError as error:
            print(error.exit_code)
            raise
        for path in run.outputs("MODEL").download(folder / "models"):
            print(path.name)
        metrics = assert_type(run.metrics(re.compile(r"loss = (?P<loss>[\d.]+)")), Metrics)
        for done in session.map(jobs(), max_parallel=2):
            print(done.name)
        return metrics.numbers("loss")[-1]
