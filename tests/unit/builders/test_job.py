"""CntkJobBuilder and what the builders of all toolkits share."""

import shlex
import subprocess
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes import (
    ClusterBuilder,
    CntkJobBuilder,
    ConfigurationError,
    CustomJobBuilder,
    CustomMpiJobBuilder,
    FileShareStaging,
    JobBuilder,
    PyTorchJobBuilder,
    StorageAccount,
    TensorFlowJobBuilder,
)
from batchai_recipes.builders.command_line import shell_words

STAGING = FileShareStaging("data")
MOUNTS = ClusterBuilder("c").mount(STAGING, at="share").mounts
PLAIN = CntkJobBuilder("myjob").script("train.py")


def test_it_builds_the_official_model():
    """Everything that was said arrives where the contract has it."""
    job = (
        PLAIN.input("SAMPLE", STAGING.mounted("sample"))
        .output("MODEL", suffix="Models")
        .args("$AZ_BATCHAI_INPUT_SAMPLE", "two words")
        .python_interpreter("/usr/bin/python3")
        .container("microsoft/cntk:2.1", server_url="r.test", username="u", password="p")
        .nodes(2)
        .priority("high")
        .environment_variable("LEVEL", "1")
        .secret("TOKEN", "s3cret")
        .job_preparation("true")
        .max_wall_clock_time(timedelta(hours=1))
    )

    assert job.build(cluster_id="/clusters/c", mounts=MOUNTS).serialize() == {
        "properties": {
            "schedulingPriority": "high",
            "cluster": {"id": "/clusters/c"},
            "nodeCount": 2,
            "containerSettings": {
                "imageSourceRegistry": {
                    "serverUrl": "r.test",
                    "image": "microsoft/cntk:2.1",
                    "credentials": {"username": "u", "password": "p"},
                }
            },
            "cntkSettings": {
                "languageType": "Python",
                "pythonScriptFilePath": "train.py",
                "pythonInterpreterPath": "/usr/bin/python3",
                "commandLineArgs": '"$AZ_BATCHAI_INPUT_SAMPLE" "two words"',
            },
            "jobPreparation": {"commandLine": "true"},
            "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/share",
            "inputDirectories": [{"id": "SAMPLE", "path": "$AZ_BATCHAI_MOUNT_ROOT/share/sample"}],
            "outputDirectories": [
                {
                    "id": "MODEL",
                    "pathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/share",
                    "pathSuffix": "Models",
                }
            ],
            "environmentVariables": [{"name": "LEVEL", "value": "1"}],
            "secrets": [{"name": "TOKEN", "value": "s3cret"}],
            "constraints": {"maxWallClockTime": "PT1H"},
        }
    }


def test_a_pytorch_job_has_its_backend_and_processes():
    """In the settings of its toolkit."""
    job = PyTorchJobBuilder("j").script("t.py").processes(4).communication_backend("nccl")
    built = job.nodes(2).build(cluster_id="c", mounts=MOUNTS).serialize()["properties"]

    assert built["pyTorchSettings"] == {
        "pythonScriptFilePath": "t.py",
        "processCount": 4,
        "communicationBackend": "nccl",
    }


def test_secrets_are_never_shown():
    """A repr may land in a log."""
    job = PLAIN.secret("TOKEN", "s3cret").container("i", username="u", password="pa55")

    assert not {"s3cret", "pa55"} & set(shlex.split(repr(job).replace("'", " ")))


def test_methods_of_the_base_keep_the_toolkit():
    """A chain may mix them in any order."""
    assert isinstance(PLAIN.nodes(2).priority("low").container("i"), CntkJobBuilder)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: CntkJobBuilder("my job"),
        lambda: PLAIN.nodes(0),
        lambda: PLAIN.priority("urgent"),
        lambda: PLAIN.input("1X", "/data"),
        lambda: PLAIN.input("X", ""),
        lambda: PLAIN.input("X", "/a").input("X", "/b"),
        lambda: PLAIN.output("a-b"),
        lambda: PLAIN.output("M").output("m"),
        lambda: PLAIN.output("stdouterr"),
        lambda: PLAIN.output("M", suffix="../x"),
        lambda: PLAIN.container(" "),
        lambda: PLAIN.container("i", username="u"),
        lambda: PLAIN.environment_variable("A=B", "x"),
        lambda: PLAIN.environment_variable("AZ_BATCHAI_X", "x"),
        lambda: PLAIN.environment_variable("A", "x").secret("A", "y"),
        lambda: PLAIN.job_preparation(" "),
        lambda: PLAIN.max_wall_clock_time(timedelta(0)),
        lambda: PLAIN.script(""),
        lambda: PLAIN.python_interpreter(" "),
        lambda: PLAIN.processes(0),
        lambda: PLAIN.container("i", shm_size="big"),
        lambda: PLAIN.config_file("a.cntk").build(cluster_id="c", mounts=MOUNTS),
        lambda: PLAIN.config_file(" "),
        lambda: CustomJobBuilder("j").command_line(" "),
        lambda: CustomMpiJobBuilder("j").processes(True),
        lambda: TensorFlowJobBuilder("j").workers(0),
        lambda: TensorFlowJobBuilder("j").parameter_servers(0),
        lambda: PLAIN.mount("data", at="own").build(cluster_id="c", mounts=MOUNTS),
        lambda: PyTorchJobBuilder("j").communication_backend("ucc"),
        lambda: JobBuilder("j").build(cluster_id="c", mounts=MOUNTS),
        lambda: CntkJobBuilder("j").build(cluster_id="c", mounts=MOUNTS),
        lambda: PLAIN.build(cluster_id="c"),
        lambda: PLAIN.input("X", FileShareStaging("other").mounted()).build(
            cluster_id="c", mounts=MOUNTS
        ),
    ],
)
def test_a_mistake_is_reported_with_what_to_do(mistake):
    """Not by the server, later."""
    with pytest.raises(ConfigurationError):
        mistake()


def test_a_share_that_is_not_mounted_is_named_with_those_that_are():
    """The message tells what to add."""
    job = PLAIN.input("X", FileShareStaging("other").mounted("x"))

    with pytest.raises(ConfigurationError, match=r"'other'.*mounts 'data'.*\.mount\('other'"):
        job.build(cluster_id="c", mounts=MOUNTS)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (PLAIN.args("$AZ_BATCHAI_INPUT_SMPLE"), r"did you mean \$AZ_BATCHAI_INPUT_SAMPLE\?"),
        (PLAIN.args("${AZ_BATCHAI_OUTPUT_MODEL}/x"), r"there is none; add \.output\('MODEL'\)"),
        (PLAIN.job_preparation("ls $AZ_BATCHAI_INPUT_X"), r"there are \$AZ_BATCHAI_INPUT_SAMPLE;"),
        (PLAIN.environment_variable("A", "$AZ_BATCHAI_INPUT_X"), "does not declare"),
        (PLAIN.script("$AZ_BATCHAI_MOUNT_ROOT/shar/t.py"), r"cluster mounts 'share': add"),
        (PLAIN.std_out_err_path_prefix("$AZ_BATCHAI_JOB_MOUNT_ROOT/no"), "mounts 'share'"),
        (
            PLAIN.mount("own", at="own").script("$AZ_BATCHAI_JOB_MOUNT_ROOT/share/t.py"),
            "the job mounts 'own'",
        ),
    ],
)
def test_what_a_job_names_must_be_declared(job, message):
    """In command lines, paths and variables alike, before anything is submitted."""
    storage = StorageAccount("demo", "a2V5", "http://127.0.0.1:1/demo")
    with pytest.raises(ConfigurationError, match=message):
        job.input("SAMPLE", "/data").build(cluster_id="c", mounts=MOUNTS, storage=storage)


def test_what_is_declared_may_be_named_in_any_order():
    """The script that is in an input directory may be named before it."""
    job = PLAIN.script("$AZ_BATCHAI_INPUT_CODE/t.py").input("CODE", STAGING.mounted("code"))
    job = job.args("$AZ_BATCHAI_JOB_MOUNT_ROOT/share/x", "$AZ_BATCHAI_MOUNT_ROOT")

    assert job.build(cluster_id="c", mounts=MOUNTS)


@pytest.mark.parametrize(
    "path",
    ["", "/", "/share", "/share/", "/share/a b", "/*", "/sh*", "/$X/y", "/share:/data", "/a"],
)
def test_places_that_may_be_there_are_let_through(path):
    """Also those that lead to a volume, and those that only the node's shell can tell."""
    mounts = (*MOUNTS, *ClusterBuilder("c").mount("other", at="a/b").mounts)
    job = CustomJobBuilder("j").command_line(f"ls $AZ_BATCHAI_MOUNT_ROOT{path}")

    assert job.build(cluster_id="c", mounts=mounts)


def test_paths_of_an_unknown_cluster_are_not_checked():
    """It may mount whatever it likes."""
    job = PLAIN.std_out_err_path_prefix("$AZ_BATCHAI_MOUNT_ROOT/somewhere")

    assert job.build(cluster_id="c")


def test_a_job_may_mount_a_share_itself():
    """Then its output goes there, too, unless it is told otherwise."""
    storage = StorageAccount("demo", "a2V5", "http://127.0.0.1:1/demo")
    job = PLAIN.mount(STAGING, at="own").input("CODE", STAGING.mounted("code"))
    built = job.build(cluster_id="c", mounts=(), storage=storage)

    assert built.std_out_err_path_prefix == "$AZ_BATCHAI_JOB_MOUNT_ROOT/own"
    assert built.input_directories[0].path == "$AZ_BATCHAI_JOB_MOUNT_ROOT/own/code"
    assert built.mount_volumes.azure_file_shares[0].azure_file_url == storage.share_url("data")


@given(st.lists(st.text(st.characters(exclude_characters="\0$`", exclude_categories=["Cs"]))))
def test_a_posix_shell_gives_the_program_the_very_arguments(arguments):
    """Quotes, spaces and backslashes survive; back ticks, which shlex lacks, are tested below."""
    assert list(arguments) == shlex.split(shell_words(*arguments))


def test_a_real_shell_expands_variables_and_nothing_else():
    """`$NAME` is the API's own notation; a command substitution would be an injection."""
    line = shell_words("$GREETING", "$(echo no)", "`echo no`", "a\\b")
    done = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\n' {line}"],
        env={"GREETING": "two words"},
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout.splitlines() == ["two words", "$(echo no)", "`echo no`", "a\\b"]
