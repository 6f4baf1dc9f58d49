"""The manifest of a copy."""

import pytest

from batchai_recipes.volume_sync.copy_folder import Stamp
from batchai_recipes.volume_sync.manifest import Entry, Manifest


def test_it_comes_back_as_it_was(tmp_path):
    """From the file that it was written to."""
    manifest = Manifest({"a/ü": Entry(Stamp(1, 2, 3), "0x8D")}, {"a", "empty"})
    manifest.save(tmp_path / "manifest.json")
    assert Manifest.load(tmp_path / "manifest.json") == manifest


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": {"a": [1]}}', '{"files": 1}', "null"])
def test_a_damaged_one_is_taken_for_empty(tmp_path, text):
    """So that nothing is deleted on its word."""
    (tmp_path / "manifest.json").write_text(text)
    assert Manifest.load(tmp_path / "manifest.json") == Manifest()
