"""The files that a job has written."""

import os
import socket
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from batchai_recipes.service.management.output_files import OutputLocation, locate_outputs
from batchai_recipes.service.state_directory import StateDirectory

SEGMENT = "s/g/jobs/j/uid"


def _volumes(**mounts: str) -> dict:
    return {
        "azureFileShares": [
            {"relativeMountPath": at.replace("__", "/"), "azureFileUrl": f"http://h/account/{name}"}
            for at, name in mounts.items()
        ]
    }


def _located(prefix: str, *, own: dict | None = None, variables: dict | None = None):
    properties = {
        "stdOutErrPathPrefix": prefix,
        "jobOutputDirectoryPathSegment": SEGMENT,
        "mountVolumes": own or {},
        "environmentVariables": [
            {"name": name, "value": value} for name, value in (variables or {}).items()
        ],
    }
    cluster = {"nodeSetup": {"mountVolumes": _volumes(afs="one", deep__er="two")}}
    return locate_outputs(properties, cluster)["stdouterr"]


@pytest.mark.parametrize(
    ("prefix", "share", "path"),
    [
        ("$AZ_BATCHAI_MOUNT_ROOT/afs", "one", ""),
        ("${AZ_BATCHAI_MOUNT_ROOT}/afs/", "one", ""),
        ("$AZ_BATCHAI_MOUNT_ROOT//afs/./logs", "one", "logs/"),
        ("$AZ_BATCHAI_MOUNT_ROOT/deep/er/x", "two", "x/"),
        ("$AZ_BATCHAI_JOB_MOUNT_ROOT/afs", "one", ""),
    ],
)
def test_paths_are_found_on_the_clusters_volumes(prefix: str, share: str, path: str) -> None:
    """Either root, with braces or without; a job without volumes finds the cluster's in both."""
    expected = OutputLocation("account", share, f"{path}{SEGMENT}/stdouterr")
    assert _located(prefix) == expected


@pytest.mark.parametrize(
    "prefix",
    [
        "/tmp/afs",
        "$AZ_BATCHAI_MOUNT_ROOT",
        "$AZ_BATCHAI_MOUNT_ROOT/other",
        "$AZ_BATCHAI_MOUNT_ROOTafs",
        "$AZ_BATCHAI_MOUNT_ROOT/afs/$HOME",
        "$AZ_BATCHAI_MOUNT_ROOT/deep",
        "afs",
    ],
)
def test_other_paths_are_on_no_share(prefix: str) -> None:
    """Only what lies below a mount point can be listed."""
    assert _located(prefix) is None


def test_a_jobs_own_volumes_have_their_own_root() -> None:
    """With volumes of its own, the job's root is no longer the cluster's."""
    own = _volumes(mine="three")
    assert _located("$AZ_BATCHAI_JOB_MOUNT_ROOT/afs", own=own) is None
    located = _located("$AZ_BATCHAI_JOB_MOUNT_ROOT/mine", own=own)
    assert located is not None
    assert located.share == "three"


def test_a_jobs_own_variables_are_expanded() -> None:
    """As they are on the node, each in terms of those before it."""
    variables = {"ROOT": "$AZ_BATCHAI_MOUNT_ROOT/afs", "LOGS": "$ROOT/logs"}
    located = _located("$LOGS", variables=variables)
    assert located is not None
    assert located.path == f"logs/{SEGMENT}/stdouterr"


def test_output_directories_end_in_their_suffix() -> None:
    """Prefix / segment of the job / outputs / suffix."""
    properties = {
        "stdOutErrPathPrefix": "/",
        "jobOutputDirectoryPathSegment": SEGMENT,
        "outputDirectories": [
            {"id": "MODEL", "pathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/afs", "pathSuffix": "m/n"},
            {"id": "REST", "pathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/afs"},
        ],
    }
    cluster = {"nodeSetup": {"mountVolumes": _volumes(afs="one")}}
    assert locate_outputs(properties, cluster) == {
        "stdouterr": None,
        "MODEL": OutputLocation("account", "one", f"{SEGMENT}/outputs/m/n"),
        "REST": OutputLocation("account", "one", f"{SEGMENT}/outputs"),
    }


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """A share's folder in a state directory at tmp_path/state."""
    folder = tmp_path / "state" / "shares" / "account" / "share"
    (folder / "out").mkdir(parents=True)
    return folder


def _paths(share: Path) -> list[str | None]:
    location = OutputLocation("account", "share", "out")
    return [file.path for file in location.files(StateDirectory(share.parents[2]), ".")]


def _listed(share: Path, directory: str = ".") -> list[str]:
    state = StateDirectory(share.parents[2])
    location = OutputLocation("account", "share", "out")
    return [file.name for file in location.files(state, directory)]


def test_links_out_of_the_share_are_left_out(tmp_path: Path, share: Path) -> None:
    """A job cannot make the service show other files of the machine; links inside are fine."""
    (tmp_path / "secret.txt").write_text("x")
    (share / "out" / "real.txt").write_text("x")
    (share / "out" / "inside.txt").symlink_to("real.txt")
    (share / "out" / "outside.txt").symlink_to(tmp_path / "secret.txt")
    (share / "out" / "dangling.txt").symlink_to(share / "nothing")
    (share / "out" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert _listed(share) == ["inside.txt", "real.txt"]
    assert _listed(share, "up") == []


def test_a_link_to_a_file_is_that_file(share: Path) -> None:
    """The file shares follow no links, so it is named by the path where it really is."""
    (share / "other").mkdir()
    (share / "other" / "model").write_text("x")
    (share / "out" / "latest").symlink_to("../other/model")
    assert (_listed(share), _paths(share)) == (["latest"], ["other/model"])


def test_links_to_directories_are_left_out(share: Path) -> None:
    """Who walks through all directories would never come to an end."""
    for name in ("a", "b"):
        (share / "out" / name).mkdir()
    (share / "out" / "a" / "to_b").symlink_to("../b")
    (share / "out" / "b" / "to_a").symlink_to("../a")
    (share / "out" / "self").symlink_to(".")
    assert (_listed(share), _listed(share, "a"), _listed(share, "b")) == (["a", "b"], [], [])


def test_pipes_and_sockets_are_left_out(share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can download them, and a program that downloads everything would fail."""
    (share / "out" / "file").write_text("x")
    os.mkfifo(share / "out" / "pipe")
    (share / "out" / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(share / "out")  # a socket's path must be short
        listening.bind("socket")
        assert _listed(share) == ["file"]


def test_what_is_no_directory_is_empty(share: Path) -> None:
    """A directory that is not there yet, or is a file, lists nothing."""
    (share / "out" / "file").write_text("x")
    (share / "out" / "ring").symlink_to("ring")
    assert _listed(share, "later/on") == []
    assert _listed(share, "file") == []
    assert _listed(share, "ring") == []
    assert _listed(share, "long" * 100) == []


@pytest.mark.parametrize("seconds", [10**12, -(10**12)])
def test_times_that_no_calendar_has_are_the_nearest(monkeypatch, share: Path, seconds) -> None:
    """A disk in memory, and some others, keep any time that a job gives a file."""
    (share / "out" / "file").touch()
    told = Path.stat

    def stat(path, **options):
        status = told(path, **options)
        if path.name != "file":
            return status
        return SimpleNamespace(
            st_mode=status.st_mode,
            st_size=0,
            st_mtime=float(seconds),
            st_mtime_ns=seconds * 10**9,
        )

    monkeypatch.setattr(Path, "stat", stat)
    location = OutputLocation("account", "share", "out")
    (file,) = location.files(StateDirectory(share.parents[2]), ".")

    assert file.modified.year == (9999 if seconds > 0 else 1601)
    assert file.document("url")["properties"]["lastModified"].endswith("Z")


def test_names_that_are_no_text_are_left_out(share: Path) -> None:
    """Azure Files could not hold them."""
    os.close(os.open(os.fsencode(share / "out") + b"/\xff", os.O_CREAT))
    assert _listed(share) == []


@pytest.fixture
def job(api, plane, experiment: str, job_body) -> str:
    """The path of a job with an output directory MODEL and one off the share."""
    path = f"{experiment}/jobs/j"
    prefix = "$AZ_BATCHAI_MOUNT_ROOT/afs"
    outputs = [
        {"id": "MODEL", "pathPrefix": prefix, "pathSuffix": "Models"},
        {"id": "LOCAL", "pathPrefix": "/tmp/local"},
    ]
    shown = api.made(path, job_body(outputDirectories=outputs))
    segment = shown["properties"]["jobOutputDirectoryPathSegment"]
    root = plane.state.share(plane.account, "share") / segment
    (root / "stdouterr").mkdir(parents=True)
    (root / "stdouterr" / "stdout.txt").write_text("hi\n")
    (root / "stdouterr" / "execution.log").write_text("")
    os.utime(root / "stdouterr" / "stdout.txt", (1528332901.7, 1528332901.7))
    models = root / "outputs" / "Models"
    (models / "epoch 1").mkdir(parents=True)
    (models / "z#1.model").write_text("z")
    (models / "a.model").write_text("a")
    return path


def _list(api, job: str, **params: object):
    return api("POST", f"{job}/listOutputFiles", params=params)


@pytest.mark.parametrize("name", ["stdouterr", "STDOUTERR", "stdOutErr"])
def test_standard_output_is_listed(api, plane, job: str, name: str) -> None:
    """Files come with their length, time and an address with a signature."""
    files = _list(api, job, outputdirectoryid=name).json()["value"]
    assert [file["name"] for file in files] == ["execution.log", "stdout.txt"]
    assert files[1]["fileType"] == "file"
    assert files[1]["properties"] == {
        "lastModified": "2018-06-07T00:55:01Z",
        "contentLength": 3,
    }
    url = urlsplit(files[1]["downloadUrl"])
    assert f"{url.scheme}://{url.netloc}" == plane.files_base
    assert url.path.startswith(f"/{plane.account}/share/")
    assert url.path.endswith("/stdouterr/stdout.txt")
    assert "sig=" in url.query
    assert "sr=f" in url.query


def test_a_directory_is_only_named(api, job: str) -> None:
    """Everything is in the order of names, directories among files."""
    files = _list(api, job, outputdirectoryid="MODEL", directory=".").json()["value"]
    assert [file["name"] for file in files] == ["a.model", "epoch 1", "z#1.model"]
    assert files[1] == {"name": "epoch 1", "fileType": "directory"}
    assert _list(api, job, outputdirectoryid="MODEL", directory="epoch 1").json() == {"value": []}


def test_pages(batchai, api, job: str) -> None:
    """Azure's client asks for the first page with POST and for the next with GET."""
    from azure.mgmt.batchai import models  # noqa: PLC0415  # only here

    options = models.JobsListOutputFilesOptions(outputdirectoryid="MODEL", max_results=1)
    names = job.split("/")[2::2]
    listed = batchai.jobs.list_output_files(names[0], names[2], names[3], names[4], options)
    assert [file.name for file in listed] == ["a.model", "epoch 1", "z#1.model"]


def test_files_are_listed_when_the_cluster_is_gone(api, plane, cluster: str, job: str) -> None:
    """Where a job's output lies is known from its making."""
    plane.execute("UPDATE jobs SET execution_state = 'succeeded'")
    assert api("DELETE", cluster).status_code == 202
    assert len(_list(api, job, outputdirectoryid="stdouterr").json()["value"]) == 2


@pytest.mark.parametrize(
    ("params", "target", "told"),
    [
        ({}, "outputdirectoryid", "LOCAL, MODEL, stdouterr"),
        ({"outputdirectoryid": "MODELS"}, "outputdirectoryid", "LOCAL, MODEL, stdouterr"),
        ({"outputdirectoryid": "LOCAL"}, "outputdirectoryid", "$AZ_BATCHAI_MOUNT_ROOT"),
        ({"outputdirectoryid": "MODEL", "directory": "../.."}, "directory", "without '..'"),
        ({"outputdirectoryid": "MODEL", "directory": "a\0b"}, "directory", "without '..'"),
        (
            {"outputdirectoryid": "MODEL", "linkexpiryinminutes": 4},
            "linkexpiryinminutes",
            "5 to 600",
        ),
        ({"outputdirectoryid": "MODEL", "maxresults": 0}, "maxresults", "1 to 1000"),
    ],
)
def test_mistakes_are_named(api, job: str, params: dict, target: str, told: str) -> None:
    """The answer says which parameter is wrong and what it may be."""
    answer = _list(api, job, **params)
    error = answer.json()["error"]
    assert (answer.status_code, error["target"]) == (400, target)
    assert told in error["message"]
