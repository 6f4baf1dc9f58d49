"""Which shares a run makes, and what it puts on which."""

import pytest

from batchai_recipes import ClusterBuilder, ConfigurationError, CustomJobBuilder
from batchai_recipes.cli.run.staged_shares import staged_shares

CLUSTER = ClusterBuilder("c").vm_size("STANDARD_D1").mount("data", at="external")
JOB = (
    CustomJobBuilder("j")
    .mount("logs", at="logs")
    .mount("scripts", at="scripts")
    .mount("foreign", at="foreign", account="elsewhere", key="a2V5")
    .std_out_err_path_prefix("$AZ_BATCHAI_JOB_MOUNT_ROOT/logs")
    .command_line("python ${AZ_BATCHAI_JOB_MOUNT_ROOT}/scripts/train.py")
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a program, also below a folder of an odd name."""
    for name in ("code/train.py", "a=b/train.py", "code/.git/config"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)


def paths(job, *stage):
    """Return what is put on each share."""
    stagings = staged_shares(job, CLUSTER, stage)
    return {staging.share: [file.path for file in staging.files] for staging in stagings}


@pytest.mark.parametrize("source", ["code", "code/train.py", "a=b"])
def test_it_goes_to_the_share_that_the_job_reads_from(folder, source):
    """A folder's content, or one file; foreign accounts' shares are none of the session's."""
    assert paths(JOB, source) == {"data": [], "logs": [], "scripts": ["train.py"]}


def test_a_place_can_be_named(folder):
    """Several, in one share or in others."""
    assert paths(JOB, "scripts=code", "scripts/sub=code/train.py", "data/set/=code") == {
        "data": ["set/train.py"],
        "logs": [],
        "scripts": ["train.py", "sub/train.py"],
    }


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (["scripts/sub=code", "scripts=code"], "give that --stage before the others"),
        (["script=code"], "did you mean 'scripts'?"),
        (["foreign=code"], "neither the cluster nor the job mounts share 'foreign'"),
        (["scripts/../up=code"], "is not a relative path"),
        (["scripts=nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_told(folder, stage, message):
    """With what would be right."""
    with pytest.raises(ConfigurationError, match=message):
        paths(JOB, *stage)


def test_a_job_that_reads_from_several_does_not_say_where(folder):
    """Nor one that reads from none of several; a name that only begins alike is another."""
    several = JOB.input("DATA", "$AZ_BATCHAI_MOUNT_ROOT/external/mnist")
    for job in (several, JOB.command_line("$AZ_BATCHAI_JOB_MOUNT_ROOT/scripts-of-mine/a")):
        with pytest.raises(ConfigurationError, match=r"SHARE=DIR|names the place"):
            paths(job, "code")
