"""Values of a wrong kind are refused by the method that was given them, in words for people."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from batchai_recipes import (
    ClusterBuilder,
    ConfigurationError,
    CustomJobBuilder,
    FileServerBuilder,
    KeyVaultSecret,
    PyTorchJobBuilder,
    StorageAccount,
    TensorFlowJobBuilder,
    TrainingSession,
)

CLUSTER = ClusterBuilder("c").vm_size("STANDARD_D1")
JOB = CustomJobBuilder("j")
STORAGE = StorageAccount("demo", "a2V5", "http://127.0.0.1:1/demo")
VAULT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v"
SECRET = KeyVaultSecret(VAULT, "https://v.vault.azure.net/secrets/s")


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: ClusterBuilder(5), "The name of a cluster must be a string, not int"),
        (lambda: CustomJobBuilder(None), "The name of a job must be a string, not None"),
        (lambda: CLUSTER.vm_size(6), "The VM size must be a string, not int"),
        (lambda: CLUSTER.mount(None, at="d"), "The name of a file share must be a string"),
        (lambda: CLUSTER.setup_task(None), "setup task's command line must be a string"),
        (lambda: CLUSTER.setup_task("x", environment={"A": 1}), "'A' must be a string, not int"),
        (lambda: CLUSTER.idle_timeout("5"), "idle_timeout is '5': give seconds above 0"),
        (lambda: CLUSTER.max_lifetime(timedelta(hours=1)), "give seconds above 0"),
        (lambda: CLUSTER.admin_user("demo", password=SECRET), "must be a string, not KeyVault"),
        (lambda: JOB.command_line(None), "The job's command line must be a string, not None"),
        (lambda: JOB.environment_variable("A", 1), "variable 'A' must be a string, not int"),
        (lambda: JOB.secret("A", None), "secret 'A' must be a string or a KeyVaultSecret"),
        (lambda: JOB.input("A", Path("/x")), r"a string or staging.mounted\(...\), not PosixPath"),
        (lambda: JOB.max_wall_clock_time(60), r"not 60: write timedelta\(hours=2\)"),
        (lambda: PyTorchJobBuilder("p").args("--n", 2), "Argument 2 of the script must be"),
        (lambda: PyTorchJobBuilder("p").command_line_args(2), "The line of arguments must be"),
        (lambda: TensorFlowJobBuilder("t").worker_args(2), "Argument 1 of the script must be"),
        (lambda: TrainingSession("mycluster"), r"takes clusters as ClusterBuilder\('mycluster'\)"),
        (lambda: TrainingSession(CLUSTER, staging="data"), r"FileShareStaging\('myshare'\)"),
        (
            lambda: TrainingSession(CLUSTER, ready_timeout=-1),
            "ready_timeout is -1: give seconds",
        ),
    ],
)
def test_a_wrong_kind_is_named(mistake, message):
    """Not by an AttributeError of something inside, nor by the service later."""
    with pytest.raises(ConfigurationError, match=message):
        mistake()


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: CLUSTER.admin_user("demo", ssh_public_key="~/.ssh/id_rsa.pub"), r"read_text\(\)"),
        (lambda: CLUSTER.subnet("/x/subnets/"), "no resource id of a subnet"),
        (lambda: CLUSTER.mount("data", at="d", account="demo", key=" "), "The key of storage acc"),
        (
            lambda: CLUSTER.mount("data", at="d", account="demo", key="a2V5", url="data"),
            "no URL of a share: it is 'https://",
        ),
        (lambda: FileServerBuilder("f").allow_public_ips("everybody"), "write '192.0.2.1' or"),
        (lambda: JOB.input("A", "data"), "relative path 'data': begin it with '/'"),
        (lambda: JOB.output("A", prefix="data"), r"staging\.mounted"),
        (lambda: JOB.std_out_err_path_prefix(""), "std_out_err_path_prefix is empty"),
        (lambda: JOB.environment_variable("A", "a\0b"), "NUL"),
        (lambda: CustomJobBuilder("j", node_count=0), "at least 1, not 0"),
        (lambda: CustomJobBuilder("j", scheduling_priority="urgent"), "use 'low', 'normal'"),
    ],
)
def test_what_could_not_work_is_named(mistake, message):
    """Also where the service would take it, and fail the job."""
    with pytest.raises(ConfigurationError, match=message):
        mistake()


def test_no_message_shows_a_secret():
    """A wrong kind is named by its type alone."""
    with pytest.raises(ConfigurationError) as raised:
        JOB.secret("TOKEN", b"s3cret")

    assert "s3cret" not in str(raised.value)


def test_a_setup_task_names_only_what_it_finds():
    """What its cluster mounts, and no directory of a job."""
    mounting = CLUSTER.mount("data", at="d")
    assert mounting.setup_task("ls $AZ_BATCHAI_MOUNT_ROOT/d").build(STORAGE)

    with pytest.raises(ConfigurationError, match="'e/x', but the cluster mounts 'd'"):
        mounting.setup_task("ls $AZ_BATCHAI_MOUNT_ROOT/e/x").build(STORAGE)
    with pytest.raises(ConfigurationError, match="those are of jobs"):
        mounting.setup_task("ls $AZ_BATCHAI_INPUT_DATA")
    with pytest.raises(ConfigurationError, match="relative path 'logs'"):
        mounting.setup_task("true", std_out_err_path_prefix="logs")


@pytest.mark.parametrize("name", ["my.group", "g(1)", "x" * 90])
def test_a_resource_group_may_have_any_name_of_azures(name):
    """They allow more than the names of Batch AI's own resources."""
    assert TrainingSession(CLUSTER, resource_group=name).names.resource_group == name


@pytest.mark.parametrize("name", ["g.", "a/b", "x" * 91])
def test_other_names_of_resource_groups_are_refused(name):
    """With what is allowed."""
    with pytest.raises(ConfigurationError, match=re.escape("'(', ')' and '.'")):
        TrainingSession(CLUSTER, resource_group=name)
