"""FileShareStaging as a value."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes import ConfigurationError, FileShareStaging, MountedPath


def test_files_go_to_the_directory_named_last(tmp_path):
    """As in the quickstart."""
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    staging = (
        FileShareStaging("data")
        .upload(tmp_path / "a")
        .directory("x/y")
        .upload(tmp_path / "b", tmp_path / "c")
    )

    assert [file.path for file in staging.files] == ["a", "x/y/b", "x/y/c"]


def test_relative_files_are_found_from_where_they_were_named(tmp_path, monkeypatch):
    """A later change of the working directory changes nothing."""
    (tmp_path / "a").write_text("a")
    monkeypatch.chdir(tmp_path)
    staging = FileShareStaging("data").upload("a")
    monkeypatch.chdir("/")

    assert tmp_path / "a" == staging.files[0].source


def test_stagings_compare_and_pickle(tmp_path):
    """Equal descriptions are equal, also after a round trip."""
    (tmp_path / "a").write_text("a")
    staging = FileShareStaging("data").directory("d").upload(tmp_path / "a")

    assert staging == pickle.loads(pickle.dumps(staging))


def test_a_mounted_path_names_share_and_path():
    """Where it is on a node is known when the cluster is."""
    assert MountedPath("data", "a/b") == FileShareStaging("data").mounted("a/b/")


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda d: FileShareStaging("Data"), "lower-case"),
        (lambda d: FileShareStaging("a"), "3 to 63"),
        (lambda d: FileShareStaging("a--b"), "single hyphens"),
        (lambda d: FileShareStaging("data").directory("/abs"), "relative path"),
        (lambda d: FileShareStaging("data").directory("a/../b"), "relative path"),
        (lambda d: FileShareStaging("data").directory("a:b"), "forbids ':'"),
        (lambda d: FileShareStaging("data").directory("caf\udce9"), "no text in UTF-8; rename it"),
        (lambda d: FileShareStaging("data").mounted("../x"), "relative path"),
        (lambda d: FileShareStaging("data").upload(d / "missing.txt"), "does not exist"),
        (lambda d: FileShareStaging("data").upload(d), "is a folder"),
    ],
)
def test_a_mistake_is_reported_by_the_method_that_was_given_it(tmp_path, mistake, message):
    """In the caller's words, before anything is sent."""
    with pytest.raises(ConfigurationError, match=message):
        mistake(tmp_path)


def test_two_files_of_one_name_are_refused_without_regard_to_case(tmp_path):
    """Azure Files could hold only one of them."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "Train.txt").write_text("a")
    (tmp_path / "sub" / "train.txt").write_text("b")
    staging = FileShareStaging("data").upload(tmp_path / "Train.txt")

    with pytest.raises(ConfigurationError, match="rename one"):
        staging.upload(tmp_path / "sub" / "train.txt")


@given(st.lists(st.sampled_from(["a", "b-c", "D", "..", ".", ""]), min_size=1, max_size=5))
def test_no_path_leads_out_of_the_share(parts):
    """Whatever is accepted has only plain parts."""
    path = "/".join(parts)
    try:
        staging = FileShareStaging("data").directory(path)
    except ConfigurationError:
        assert {"", ".", ".."} & set(path.rstrip("/").split("/"))
    else:
        assert not {"", ".", ".."} & set(staging.directories[0].split("/"))


@pytest.mark.parametrize("number", [0, 65, "4"])
def test_a_number_of_connections_that_cannot_be(number):
    """Said at once, not by a transfer that hangs."""
    with pytest.raises(ConfigurationError, match="from 1 to 64"):
        FileShareStaging("data", max_connections=number)


def test_how_a_staging_is_sent_is_no_part_of_what_it_is():
    """Two stagings of the same files are equal."""
    assert FileShareStaging("data", max_connections=8) == FileShareStaging("data")
