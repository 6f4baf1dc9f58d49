"""A Ray cluster whose machines listen to nobody without its token."""

import contextlib

import pytest
from ray_client import wait_until

from batchai_recipes import (
    ClusterBuilder,
    CustomMpiJobBuilder,
    FileShareStaging,
    TrainingSession,
)

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture
def cluster(in_ray_cluster, monkeypatch):
    """The cluster, with the test in its network, and without its token."""
    for name in in_ray_cluster.credentials:
        monkeypatch.delenv(name)
    return in_ray_cluster


def test_whoever_has_the_token_runs_jobs(cluster, run_service, tmp_path, monkeypatch):
    """On machines that do not see the state, over MPI too; and the jobs do not get the token."""
    for name, value in cluster.credentials.items():
        monkeypatch.setenv(name, value)
    source = tmp_path / "x"
    source.write_text("came here\n")
    staging = FileShareStaging("data").directory("in").upload(source)
    nodes = ClusterBuilder("c").vm_size("STANDARD_D1").nodes(2).mount(staging, at="share")
    nodes = nodes.admin_user("demo", password="passw0rd")
    job = CustomMpiJobBuilder("job").nodes(2).input("IN", staging.mounted("in"))
    job = job.command_line("cat $AZ_BATCHAI_INPUT_IN/x; env")
    with (
        run_service(cluster.hidden / "token", cluster) as service,
        service.connection() as connection,
        TrainingSession(nodes, staging=staging, connection=connection) as session,
    ):
        run = session.submit(job)
        lines = list(run.stream("stdout.txt"))
        run.wait()
    assert sum(line == "came here" for line in lines) == 2
    assert not [line for line in lines if "RAY_AUTH" in line]


def test_whoever_has_not_is_told(cluster, run_service, tmp_path, monkeypatch):
    """In the service's log, with where Ray looks for one: who has none, and who has a wrong one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with contextlib.ExitStack() as running:
        services = [running.enter_context(run_service(tmp_path / "none", cluster))]
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
        services.append(running.enter_context(run_service(tmp_path / "wrong", cluster)))
        for service in services:
            wait_until(lambda service=service: "Ray cannot be reached" in service.log())
    for service in services:
        said = service.log()
        assert "InvalidAuthToken" in said
        assert "RAY_AUTH_TOKEN_PATH names, or in RAY_AUTH_TOKEN, with RAY_AUTH_MODE=token" in said
        assert "000000" not in said
