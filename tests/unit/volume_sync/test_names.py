"""Remote names as paths: never out of the folder, never two for one."""

import posixpath

from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.volume_sync.names import clashing, parents_of, problem_of

_PARTS = st.one_of(st.sampled_from(["", ".", "..", "a", "b", "x" * 256]), st.text(max_size=5))
_NAMES = st.lists(_PARTS, min_size=1, max_size=5).map("/".join)


@given(_NAMES)
def test_what_has_no_problem_stays_below_its_folder(name):
    """And is one path only: normalising changes nothing."""
    if problem_of(name):
        return
    assert not name.startswith("/")
    assert posixpath.normpath(name) == name
    assert not posixpath.relpath(f"/copy/{name}", "/copy").startswith("..")
    assert all(len(part.encode()) <= 255 for part in name.split("/"))


@given(st.sets(st.text("ab/", min_size=1, max_size=6).filter(lambda n: not problem_of(n))))
def test_without_those_that_clash_all_can_be_made(names):
    """No file is left that another needs as a directory, and none is left out without need."""
    left = names - clashing(names, [])
    needed = {parent for name in names for parent in parents_of(name)}
    assert left == names - needed


def test_the_reason_is_told():
    """In words for a log."""
    assert problem_of("a//b") == "it has an empty part"
    assert problem_of("a\0b") == "it holds a NUL character"
    assert problem_of("\ud800") == "it is not Unicode"
    assert "longer than 3500 bytes" in problem_of("/".join(["x" * 200] * 20))
