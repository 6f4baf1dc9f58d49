"""The same cases through every client of Azure Files."""

import os

import pytest

from .drivers import REFUSALS

# aiohttp's advice on how azure-core sends 4 MiB.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")

METADATA = {"Kind": "data", "a_b": "1", "ab": "2", "a1": "4"}


@pytest.fixture
def share(driver):
    """The name of a share that exists."""
    driver.create_share("data")
    return "data"


def refused(code, action, *arguments):
    """Expect Azure's code of a refusal."""
    with pytest.raises(REFUSALS) as caught:
        action(*arguments)
    assert code == getattr(caught.value.error_code, "value", caught.value.error_code)


def test_a_share_comes_changes_and_goes(driver):
    """Create, describe, list, change, delete."""
    driver.create_share("data", quota=7, metadata=METADATA)
    driver.create_share("other")

    assert driver.share("data") == (7, METADATA)
    assert driver.shares() == ["data", "other"]
    # The aio client of 2020 sends no prefix.
    assert driver.shares("o") in (["other"], ["data", "other"])
    driver.set_share("data", quota=8, metadata={"b": "c"})
    assert driver.share("data") == (8, {"b": "c"})
    driver.delete_share("other")
    assert driver.shares() == ["data"]


def test_the_refusals_of_shares(driver, share):
    """A second share of a name, a missing one and a bad name each have their code."""
    refused("ShareAlreadyExists", driver.create_share, share)
    refused("ShareNotFound", driver.delete_share, "nothing")
    refused("ShareNotFound", driver.share, "nothing")
    refused("InvalidResourceName", driver.create_share, "a--b")


def test_usage(driver, share):
    """What is uploaded counts."""
    driver.upload(share, "f", b"12345")

    assert driver.usage(share) in {1, 5}  # GiB begun, or bytes


def test_a_directory_comes_changes_and_goes(driver, share):
    """Create nested ones, describe, change, delete; refusals have their code."""
    driver.create_directory(share, "p", METADATA)
    driver.create_directory(share, "p/q")
    driver.create_directory(share, "p/q/r (1)")

    assert driver.directory(share, "p") == METADATA
    driver.set_directory(share, "p", {"x": "y"})
    assert driver.directory(share, "p") == {"x": "y"}
    assert {("r (1)", None)} == driver.listing(share, "p/q")
    refused("ResourceAlreadyExists", driver.create_directory, share, "P")
    refused("ParentNotFound", driver.create_directory, share, "no/d")
    refused("DirectoryNotEmpty", driver.delete_directory, share, "p")
    driver.delete_directory(share, "p/q/r (1)")
    assert set() == driver.listing(share, "p/q")
    refused("ResourceNotFound", driver.directory, share, "p/q/r (1)")


def test_a_listing(driver, share):
    """Files with sizes and directories without, filtered by a prefix."""
    driver.create_directory(share, "abc")
    driver.upload(share, "abd", b"123")
    driver.upload(share, "xyz", b"")

    assert {("abc", None), ("abd", 3), ("xyz", 0)} == driver.listing(share)
    assert {("abc", None), ("abd", 3)} == driver.listing(share, prefix="ab")


@pytest.mark.parametrize("size", [0, 1, 4 * 2**20, 9 * 2**20 + 17])
@pytest.mark.parametrize("connections", [1, 4])
def test_content_round_trips(driver, share, size, connections):
    """Empty, small, exactly one range, several ranges; on one and on several connections."""
    content = os.urandom(size)

    driver.create_directory(share, "d")
    driver.upload(share, "d/f.bin", content, connections=connections)

    assert content == driver.download(share, "d/f.bin", connections=connections)
    assert (size, "text/x-test", {"Kind": "data"}) == driver.file(share, "d/f.bin")


def test_a_download_that_takes_several_requests(driver, share, server):
    """More than 32 MiB, the first request's share, in parallel."""
    content = os.urandom(33 * 2**20 + 5)
    (server.folder(share) / "big").write_bytes(content)

    assert content == driver.download(share, "big", connections=4)


@pytest.mark.parametrize(
    "name",
    ["a b.txt", "a+b#&;=,'()[]@~$.txt", "a%2Fb", "\u65e5\u672c \u00e9.txt", "...", "x" * 200, "!*"],
)
def test_any_name_that_azure_allows(driver, share, server, name):
    """Odd names reach the disk as they are, and come back; what Azure forbids is refused."""
    if "*" in name:
        refused("InvalidResourceName", driver.create_file, share, name, 1)
        return
    driver.upload(share, name, b"hello")

    assert [name] == [item.name for item in server.folder(share).iterdir()]
    assert {(name, 5)} == driver.listing(share)
    assert driver.download(share, name) == b"hello"


def test_a_file_changes_and_goes(driver, share):
    """Metadata, size, deletion."""
    driver.upload(share, "f", b"0123456789")

    driver.set_file(share, "f", METADATA)
    driver.resize(share, "f", 4)

    assert driver.file(share, "f")[::2] == (4, METADATA)
    assert driver.download(share, "f") == b"0123"
    assert driver.part(share, "f", 1, 2) == b"12"
    driver.delete_file(share, "f")
    refused("ResourceNotFound", driver.delete_file, share, "f")
    refused("ParentNotFound", driver.upload, share, "no/f", b"x")


def test_ranges(driver, share):
    """What is written and cleared shows in content and ranges; outside the file is refused."""
    block = 1 << 16
    driver.create_file(share, "f", 8 * block)

    driver.put(share, "f", block, b"x" * block)
    driver.put(share, "f", 3 * block, b"y" * block)
    driver.clear(share, "f", block, 2 * block - 1)

    assert [(3 * block, 4 * block - 1)] == driver.ranges(share, "f")
    assert bytes(3 * block) + b"y" * block + bytes(4 * block) == driver.download(share, "f")
    refused("InvalidRange", driver.put, share, "f", 8 * block, b"z" * 512)


def test_paths_by_any_case(driver, share):
    """Names are found without regard to case and keep theirs."""
    driver.create_directory(share, "Dir")
    driver.upload(share, "dir/File", b"x")

    assert driver.download(share, "DIR/FILE") == b"x"
    assert {("File", 1)} == driver.listing(share, "dir")
