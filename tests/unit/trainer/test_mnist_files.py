"""Tests of `batchai_recipes.trainer.mnist_files`."""

import gzip
import hashlib
from pathlib import Path

import pytest
import requests
import responses

from batchai_recipes.trainer.download import PublishedFile
from batchai_recipes.trainer.errors import DataError, DataUnavailableError
from batchai_recipes.trainer.mnist_files import (
    FOLDER_VARIABLE,
    MIRRORS,
    PUBLISHED,
    MnistFiles,
    find_mnist,
)

NAMES = [file.name for file in PUBLISHED]


def test_a_named_folder_is_used(mnist_folder):
    """The four files are found under their published names."""
    expected = MnistFiles(*[mnist_folder / name for name in NAMES])

    assert expected == find_mnist(source=mnist_folder)


def test_the_environment_may_name_the_folder(mnist_folder, monkeypatch):
    """BATCHAI_RECIPES_DATA stands in for an argument."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(mnist_folder))

    assert mnist_folder / NAMES[0] == find_mnist().train_images


def test_an_argument_comes_before_the_environment(mnist_folder, monkeypatch, tmp_path):
    """Who names a folder does not get another one."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "elsewhere"))

    assert mnist_folder / NAMES[0] == find_mnist(source=mnist_folder).train_images


def test_unpacked_files_are_found(mnist_folder):
    """Files may be unpacked, in either of the spellings that are about."""
    for name, new in ((NAMES[0], "train-images-idx3-ubyte"), (NAMES[3], "t10k-labels.idx1-ubyte")):
        packed = mnist_folder / name
        (mnist_folder / new).write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()

    files = find_mnist(source=mnist_folder)

    assert mnist_folder / "train-images-idx3-ubyte" == files.train_images
    assert mnist_folder / NAMES[1] == files.train_labels
    assert mnist_folder / "t10k-labels.idx1-ubyte" == files.test_labels


def test_what_a_named_folder_lacks_is_listed(mnist_folder):
    """A folder that was named is not silently replaced by a download."""
    (mnist_folder / NAMES[1]).unlink()
    (mnist_folder / NAMES[2]).unlink()

    with pytest.raises(DataError) as failure:
        find_mnist(source=mnist_folder)

    expected = f"{mnist_folder}: lacks {NAMES[1]}, {NAMES[2]} (compressed or not)"
    assert expected == str(failure.value)


@responses.activate
def test_the_files_are_downloaded_once(mnist_folder, tmp_path):
    """Files that no one named come from a mirror, and from the cache the next time."""
    published = []
    for name in NAMES:
        content = (mnist_folder / name).read_bytes()
        published.append(PublishedFile(name, len(content), hashlib.sha256(content).hexdigest()))
        responses.get(MIRRORS[0] + name, body=content)
    cache = tmp_path / "cache"

    first = find_mnist(cache=cache, published=published)
    second = find_mnist(cache=cache, published=published)

    assert MnistFiles(*[cache / name for name in NAMES]) == first
    assert first == second
    assert len(responses.calls) == 4


@responses.activate
def test_the_cache_is_the_users(monkeypatch, tmp_path):
    """Without a cache of the caller's, the user's own is used."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    content = b"not compressed"
    published = PublishedFile("file", len(content), hashlib.sha256(content).hexdigest())
    responses.get(MIRRORS[0] + "file", body=content)

    path = find_mnist(published=[published] * 4).train_images

    assert Path("batchai-recipes", "mnist", "file") == Path(*path.parts[-3:])
    assert path.is_relative_to(tmp_path)


@responses.activate
def test_without_a_network_the_error_says_what_else_there_is(tmp_path):
    """The error names the mirrors that were tried and the ways to do without them."""
    for mirror in MIRRORS:
        responses.get(mirror + NAMES[0], body=requests.ConnectionError("no network"))

    with pytest.raises(DataUnavailableError) as failure:
        find_mnist(cache=tmp_path)

    text = str(failure.value)
    assert all(f"{mirror}: no network" in text for mirror in MIRRORS)
    assert "BATCHAI_RECIPES_DATA" in text
    assert "scikit-learn" in text
