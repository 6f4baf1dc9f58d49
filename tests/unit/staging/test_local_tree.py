"""Trees of local files, and what is left out of them."""

import os

import pytest

from batchai_recipes import ConfigurationError, FileShareStaging


@pytest.fixture
def tree(tmp_path):
    """Make files of a tree by their paths; those with a closing slash are folders."""

    def make(*paths):
        root = tmp_path / "tree"
        root.mkdir(exist_ok=True)
        for path in paths:
            target = root / path
            (target if path.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
            if not path.endswith("/"):
                target.write_text(path)
        return root

    return make


def staged(staging):
    """Return the paths of the files of a staging."""
    return [file.path for file in staging.files]


def test_a_tree_goes_into_the_directory_named_last(tree):
    """Without the folder's own name; what follows still goes to that directory."""
    root = tree("a", "sub/b", "größe/数据")
    staging = FileShareStaging("data").directory("x").upload_tree(root).upload(root / "sub" / "b")

    assert staged(staging) == ["x/a", "x/größe/数据", "x/sub/b", "x/b"]


def test_empty_folders_are_directories(tree):
    """Programs expect to write into them."""
    staging = FileShareStaging("data").upload_tree(tree("logs/", "sub/empty/"))

    assert staging.tree_directories == ("logs", "sub", "sub/empty")


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ([], ["a.py", "a.pyc", "sub/.git/x", "sub/a.pyc", "sub/deep/a.py"]),
        (["*.pyc"], ["a.py", "sub/.git/x", "sub/deep/a.py"]),
        (["/a.pyc"], ["a.py", "sub/.git/x", "sub/a.pyc", "sub/deep/a.py"]),
        (["*.pyc", "!/sub/a.pyc", ".git/"], ["a.py", "sub/a.pyc", "sub/deep/a.py"]),
        (["sub/**/a.py", ".git"], ["a.py", "a.pyc", "sub/a.pyc"]),
        (["sub/", "!sub/a.pyc"], ["a.py", "a.pyc"]),
        (["# comment", "", "*", "!a.py"], ["a.py"]),
    ],
)
def test_patterns_mean_what_they_mean_to_git(tree, ignore, left):
    """Anchors, folders, exceptions; nothing comes back out of an ignored folder."""
    root = tree("a.py", "a.pyc", "sub/a.pyc", "sub/deep/a.py", "sub/.git/x")

    assert staged(FileShareStaging("data").upload_tree(root, ignore=ignore)) == left


def test_links_are_followed(tree, tmp_path):
    """To files and to folders."""
    root = tree("a")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "b").write_text("b")
    (root / "link").symlink_to(tmp_path / "other")
    (root / "c").symlink_to(root / "a")

    assert staged(FileShareStaging("data").upload_tree(root)) == ["a", "c", "link/b"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: (root / "loop").symlink_to(root), "link to a folder that it is in"),
        (lambda root: os.mkfifo(root / "pipe"), "neither a file nor a folder"),
        (lambda root: (root / "gone").symlink_to("nowhere"), "link to nothing"),
        (lambda root: (root / "ring").symlink_to("ring"), "link to nothing"),
        (lambda root: (root / "a:b").write_text(""), "forbids ':'"),
        (lambda root: (root / "A").write_text(""), "rename one"),
        (lambda root: (root / "caf\udce9").write_text(""), "no text in UTF-8; rename it"),
        (lambda root: [(root / n).mkdir() for n in ("d", "D")], "one directory"),
    ],
)
def test_what_cannot_be_on_a_share_is_named(tree, make, message):
    """Unless it is ignored."""
    root = tree("a")
    make(root)

    with pytest.raises(ConfigurationError, match=message):
        FileShareStaging("data").upload_tree(root)
    assert staged(FileShareStaging("data").upload_tree(root, ignore=["*", "!/a"])) == ["a"]


@pytest.mark.parametrize(
    ("folder", "ignore", "message"),
    [
        ("missing", [], "does not exist"),
        ("a", [], "is a file"),
        ("", "*.pyc", r"ignore=\['\*.pyc'\]"),
        ("", ["!"], "Not a pattern"),
    ],
)
def test_a_mistake_is_reported_at_the_call(tree, folder, ignore, message):
    """In the caller's words."""
    with pytest.raises(ConfigurationError, match=message):
        FileShareStaging("data").upload_tree(tree("a") / folder, ignore=ignore)
