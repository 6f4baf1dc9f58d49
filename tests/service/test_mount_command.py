"""Mount commands: which bind a directory, and what is said of the others."""

import pytest

from batchai_recipes.service.mount_command import bound_directory


@pytest.mark.parametrize(
    ("command", "path", "read_only"),
    [
        ("mount --bind /data", "/data", False),
        ("/bin/mount -B /data", "/data", False),
        ("sudo mount -t none -o bind,ro '/my data'", "/my data", True),
        ("mount -r --rbind /data/", "/data", True),
        ("mount -obind,rw /data", "/data", False),
    ],
)
def test_a_bound_directory_is_recognised(command, path, read_only):
    """In each way to write it."""
    bound = bound_directory(command)
    assert (bound.path, bound.options.read_only) == (path, read_only)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("mount -t cifs //host/share -o vers=3.0", "the type 'cifs' of '//host/share'"),
        ("mount host:/export", "a file system of 'host:/export'"),
        ("sshfs user@host:/", "does not begin with 'mount'"),
        ("", "does not begin with 'mount'"),
        ("mount --bind", "names 0 directories"),
        ("mount --bind /a /b", "names 2 directories"),
        ("mount --bind a", "no absolute path"),
        ("mount --bind /a/../..", "no absolute path"),
        ("mount --bind /a; rm -rf /", "option '-rf' is not known"),
        ("mount --bind '/a", "cannot be read"),
        ("mount -t nfs --bind /a", "the type 'nfs' as well"),
    ],
)
def test_what_it_does_instead_is_told_with_what_to_write(command, reason):
    """Nothing is ever run."""
    with pytest.raises(ValueError, match="write 'mount --bind") as caught:
        bound_directory(command)
    assert reason in str(caught.value)
