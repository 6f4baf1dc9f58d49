"""Tests of `batchai_recipes.trainer.convnet.sample_cache`."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from batchai_recipes.trainer.convnet import sample_cache
from batchai_recipes.trainer.convnet.errors import InputError
from batchai_recipes.trainer.convnet.sample_cache import cache_of, read_samples
from batchai_recipes.trainer.ctf import write_ctf


@pytest.fixture
def text(tmp_path, samples):
    """A file of a few random images."""
    file = tmp_path / "Train-28x28_cntk_text.txt"
    write_ctf(file, samples.images, samples.labels.astype(np.uint8))
    return file


@pytest.fixture
def parsed(monkeypatch):
    """The files that were parsed."""
    files = []
    real = sample_cache.read_ctf
    monkeypatch.setattr(sample_cache, "read_ctf", lambda path: files.append(path) or real(path))
    return files


def caches(folder):
    """Return the caches in a folder."""
    return sorted(folder.glob(".*.npy"))


def test_a_text_is_parsed_once(text, samples, parsed):
    """From then on its samples are mapped from the cache, and are the same."""
    first, second = read_samples(text), read_samples(text)

    assert [text] == parsed
    for found in (first, second):
        np.testing.assert_array_equal(samples.images, found.images)
        np.testing.assert_array_equal(samples.labels, found.labels)
    base = second.images
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


def test_grey_levels_that_are_no_bytes_are_cached_too(tmp_path, parsed):
    """As they are, in four bytes each."""
    file = tmp_path / "fractions.txt"
    file.write_text(f"|labels 0 0 0 0 0 0 0 1 0 0 |features 0.5 -3{' 7' * 782}\n")

    for found in (read_samples(file), read_samples(file)):
        assert found.images[0, :3].tolist() == [0.5, -3, 7]
        assert found.labels.tolist() == [7]
    assert [file] == parsed


def test_a_changed_text_is_parsed_anew(text, samples, parsed):
    """And what it was before is not kept."""
    read_samples(text)
    write_ctf(text, samples.images[:5], samples.labels[:5].astype(np.uint8))

    assert len(read_samples(text)) == 5
    assert [text, text] == parsed
    assert [cache_of(text, text.stat())] == caches(text.parent)


def test_a_text_of_the_same_size_is_parsed_anew(text, samples):
    """Its time tells that it changed."""
    before = text.stat()
    read_samples(text)
    labels = (samples.labels + 1) % 10
    write_ctf(text, samples.images, labels.astype(np.uint8))
    os.utime(text, ns=(before.st_atime_ns, before.st_mtime_ns + 1))

    assert before.st_size == text.stat().st_size
    np.testing.assert_array_equal(labels, read_samples(text).labels)


@pytest.mark.parametrize("damage", [b"", b"hello", "cut", "other"])
def test_a_damaged_cache_is_made_anew(text, samples, damage):
    """Nobody has to find and delete it."""
    read_samples(text)
    (cache,) = caches(text.parent)
    if damage == "other":
        np.save(cache, np.zeros((5, 5)))
    else:
        cache.write_bytes(cache.read_bytes()[:-1] if damage == "cut" else damage)

    np.testing.assert_array_equal(samples.labels, read_samples(text).labels)
    assert np.load(cache).shape == (100, 785)


def test_other_files_are_left_alone(text):
    """Also those whose names are like a cache's."""
    other = text.with_name(f".{text.name}.backup.npy")
    other.write_text("")

    read_samples(text)

    assert other.exists()


def test_a_folder_that_cannot_be_written_to_has_no_cache(text, samples, monkeypatch):
    """The samples come from the text each time."""

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sample_cache, "whole_file", refuse)

    np.testing.assert_array_equal(samples.labels, read_samples(text).labels)
    assert caches(text.parent) == []


def test_processes_may_race(text, samples):
    """Each reads all samples, and one cache is left."""
    program = (
        "import sys, pathlib;"
        "from batchai_recipes.trainer.convnet.sample_cache import read_samples;"
        "print(int(read_samples(pathlib.Path(sys.argv[1])).images.sum()))"
    )
    with ThreadPoolExecutor(3) as threads:
        sums = threads.map(
            lambda _: subprocess.check_output([sys.executable, "-c", program, text]), range(3)
        )

    assert {int(samples.images.sum())} == {int(line) for line in sums}
    assert len(caches(text.parent)) == 1
    assert [file for file in text.parent.iterdir() if file.suffix == ".tmp"] == []


def test_a_missing_text_is_named(tmp_path):
    """In one line."""
    with pytest.raises(InputError, match=r"nowhere.txt: No such file or directory$"):
        read_samples(tmp_path / "nowhere.txt")


def test_a_malformed_text_has_no_cache(text):
    """It is named with its line, each time."""
    with text.open("a") as file:
        file.write("hello\n")

    for _ in range(2):
        with pytest.raises(InputError, match="line 101: the field"):
            read_samples(text)
    assert caches(text.parent) == []
