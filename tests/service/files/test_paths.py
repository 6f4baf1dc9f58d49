"""Paths inside a share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.paths import (
    MAXIMUM_DEPTH,
    MAXIMUM_NAME,
    MAXIMUM_PATH,
    SharePath,
    fold,
)


@given(st.text())
def test_any_text_is_a_safe_path_or_refused(text):
    """No parsed path holds a name that could lead anywhere but down."""
    try:
        path = SharePath.parse(text)
    except FileServiceError:
        return

    assert not {"", ".", ".."} & set(path.names)
    assert not any("/" in name or "\0" in name for name in path.names)
    assert path == SharePath.parse(str(path))


@pytest.mark.parametrize("text", ["..", "a/../b", ".", "a/.", "a\0b", "x" * (MAXIMUM_NAME + 1)])
def test_names_that_are_none_are_refused(text):
    """Dots, NUL and over-long names are refused whether or not something is there."""
    with pytest.raises(FileServiceError) as caught:
        SharePath.parse(text)

    assert ErrorCode.INVALID_RESOURCE_NAME is caught.value.code


@pytest.mark.parametrize(
    "text", ["a/" * (MAXIMUM_DEPTH + 1), "/".join(["x" * 250] * (MAXIMUM_PATH // 250 + 1))]
)
def test_long_and_deep_paths_are_refused(text):
    """A path has limits of its own."""
    with pytest.raises(FileServiceError) as caught:
        SharePath.parse(text)

    assert ErrorCode.INVALID_FILE_OR_DIRECTORY_PATH_NAME is caught.value.code


def test_the_longest_path_is_accepted():
    """A path may have exactly as many characters as Azure allows."""
    text = "/".join(["x" * 204] * 9 + ["x" * 203])
    assert len(text) == MAXIMUM_PATH

    assert text == str(SharePath.parse(text))


@pytest.mark.parametrize("name", ["a:b", 'a"b', "a\\b", "a|b", "a<b", "a*", "a?", "a\nb", "COM1"])
def test_new_names_keep_azures_rules(name):
    """What Azure forbids is not created, and not there is reported as a bad name."""
    path = SharePath.parse(name)

    with pytest.raises(FileServiceError) as caught:
        path.check_new()

    assert ErrorCode.INVALID_RESOURCE_NAME is caught.value.code
    assert ErrorCode.INVALID_RESOURCE_NAME is path.missing().code


@pytest.mark.parametrize(
    "name", ["com10", "lpt", "aux.py", "a%+#&;=,'()[]@~$ b", "日本", "con-x", "..."]
)
def test_odd_names_that_azure_allows_are_new_names(name):
    """Everything else is a name."""
    SharePath.parse(name).check_new()

    assert ErrorCode.RESOURCE_NOT_FOUND is SharePath.parse(name).missing().code


@given(st.text(), st.text())
def test_folding_keeps_length_and_ignores_case(one, other):
    """Two names that fold alike are as long as each other; folding twice changes nothing."""
    assert len(one) == len(fold(one))
    assert fold(one) == fold(fold(one))
    if one.isascii() and other.isascii():
        assert (one.lower() == other.lower()) == (fold(one) == fold(other))


def test_a_path_knows_its_parts():
    """The root has no name and is its own parent."""
    path = SharePath.parse("/a//b/")

    assert (path.name, str(path.parent), path.folded) == ("b", "a", "A/B")
    assert SharePath(()).is_root
    assert ("", SharePath(())) == (SharePath(()).name, SharePath(()).parent)
