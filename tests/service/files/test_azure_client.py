"""Azure's own client, azure-storage-file 2.1, does against the service what programs do with it."""

import os
from pathlib import Path

import pytest
from azure.common import AzureConflictHttpError, AzureMissingResourceHttpError
from azure.storage.file import ContentSettings

METADATA = {"Kind": "data", "a_b": "1", "ab": "2", "a-b": "3", "a1": "4"}


def names(items):
    """Return the names of listed things."""
    return [item.name for item in items]


def test_shares_come_and_go(client):
    """Create, list, describe, delete; a second creation says so."""
    assert client.create_share("data", metadata=METADATA, quota=7)
    client.create_share("other")

    assert dict(client.get_share_metadata("data")) == METADATA
    assert dict(client.get_share_properties("data").metadata) == METADATA
    assert client.get_share_properties("data").properties.quota == 7
    assert names(client.list_shares()) == ["data", "other"]
    assert names(client.list_shares(prefix="o")) == ["other"]
    assert not client.create_share("data")
    with pytest.raises(AzureConflictHttpError) as caught:
        client.create_share("data", fail_on_exist=True)
    assert caught.value.error_code == "ShareAlreadyExists"

    assert client.delete_share("data")
    assert not client.exists("data")
    assert not client.delete_share("data")


def test_the_metadata_of_a_listed_share(client):
    """include=metadata brings it along."""
    client.create_share("data", metadata={"Kind": "data"})

    (listed,) = client.list_shares(include_metadata=True)

    assert listed.metadata == {"Kind": "data"}


def test_a_share_is_changed(client, share):
    """Quota and metadata are replaced, and the ETag tells."""
    before = client.get_share_properties(share).properties.etag

    client.set_share_properties(share, 11)
    client.set_share_metadata(share, {"New": "yes"})

    after = client.get_share_properties(share)
    assert (after.properties.quota, dict(after.metadata)) == (11, {"New": "yes"})
    assert before != after.properties.etag


def test_the_usage_of_a_share_counts_what_jobs_wrote(server, client, share):
    """All bytes of its files count."""
    client.create_file_from_bytes(share, None, "a", b"12345")
    (server.folder(share) / "job").mkdir()
    (server.folder(share) / "job" / "b").write_bytes(b"678")

    assert client.get_share_stats_in_bytes(share) == 8
    assert client.get_share_stats(share) == 1  # GiB, begun ones count


def test_directories_come_and_go(client, share):
    """Create, list, describe, delete; the parent must exist and the deleted one be empty."""
    assert client.create_directory(share, "logs", metadata=METADATA)
    assert client.create_directory(share, "logs/old")
    assert not client.create_directory(share, "logs")
    with pytest.raises(AzureMissingResourceHttpError) as missing:
        client.create_directory(share, "no/parent", fail_on_exist=True)
    assert missing.value.error_code == "ParentNotFound"

    assert dict(client.get_directory_metadata(share, "LOGS")) == METADATA
    assert dict(client.get_directory_properties(share, "logs").metadata) == METADATA
    client.set_directory_metadata(share, "logs", {"b": "c"})
    assert dict(client.get_directory_metadata(share, "logs")) == {"b": "c"}
    assert client.exists(share, "logs/old")
    with pytest.raises(AzureConflictHttpError) as full:
        client.delete_directory(share, "logs", fail_not_exist=True)
    assert full.value.error_code == "DirectoryNotEmpty"

    assert client.delete_directory(share, "logs/old")
    assert client.delete_directory(share, "logs")
    assert not client.exists(share, "logs")


def test_a_large_file_in_parallel_ranges(client, share, tmp_path):
    """9 MiB go up and come down in ranges on several connections, byte for byte."""
    content = os.urandom(9 * 2**20 + 17)
    source = tmp_path / "big.bin"
    source.write_bytes(content)
    client.create_directory(share, "models")

    client.create_file_from_path(
        share, "models", "big.bin", str(source), max_connections=4, metadata={"Who": "me"}
    )

    got = client.get_file_to_bytes(share, "models", "big.bin", max_connections=4)
    assert content == got.content
    assert dict(got.metadata) == {"Who": "me"}
    assert (
        len(content)
        == client.get_file_properties(share, "models", "big.bin").properties.content_length
    )


@pytest.mark.parametrize("content", ["", "hello", "é日"])
def test_small_files(client, share, content):
    """Empty files and text come back as they went."""
    client.create_file_from_text(share, None, "a.txt", content)

    assert content == client.get_file_to_text(share, None, "a.txt").content


@pytest.mark.parametrize(
    "name", ["a b.txt", "a%2Fb", "a+b#&;=,'()[]@~$.txt", "日本 é.txt", "...", "x" * 200]
)
def test_any_name_that_azure_allows(server, client, share, name):
    """Odd names reach the disk as they are, and come back."""
    client.create_file_from_text(share, None, name, name)

    assert [name] == names(client.list_directories_and_files(share))
    assert name == client.get_file_to_text(share, None, name).content
    assert [name] == [item.name for item in server.folder(share).iterdir()]


def test_exists_asks_about_each_level(client, share):
    """Neither a missing parent nor a missing file is an error."""
    client.create_file(share, None, "f", 0)

    assert client.exists(share)
    assert client.exists(share, None, "f")
    assert not client.exists("nothing")
    assert not client.exists(share, "d")
    assert not client.exists(share, None, "g")
    assert not client.exists(share, "d", "g")


def test_ranges(client, share):
    """A new file is zeros without ranges; what is written and cleared shows in both."""
    block = 1 << 16
    client.create_file(share, None, "sparse", 64 * block)
    assert client.list_ranges(share, None, "sparse") == []

    client.update_range(share, None, "sparse", b"x" * block, block, 2 * block - 1)
    client.update_range(
        share, None, "sparse", b"y" * block, 4 * block, 5 * block - 1, validate_content=True
    )

    assert [(block, 2 * block - 1), (4 * block, 5 * block - 1)] == [
        (part.start, part.end) for part in client.list_ranges(share, None, "sparse")
    ]
    client.clear_range(share, None, "sparse", block, 2 * block - 1)
    assert [(4 * block, 5 * block - 1)] == [
        (part.start, part.end) for part in client.list_ranges(share, None, "sparse")
    ]
    content = client.get_file_to_bytes(share, None, "sparse").content
    assert bytes(4 * block) + b"y" * block + bytes(59 * block) == content


def test_a_file_is_resized(client, share):
    """Smaller cuts, larger adds zeros, and the content headers stay."""
    settings = ContentSettings(content_type="text/plain", cache_control="no-cache")
    client.create_file_from_bytes(share, None, "f", b"12345", content_settings=settings)

    client.resize_file(share, None, "f", 3)
    client.resize_file(share, None, "f", 6)

    got = client.get_file_to_bytes(share, None, "f")
    assert got.content == b"123\0\0\0"
    assert got.properties.content_settings.content_type == "text/plain"


def test_content_settings(client, share):
    """What is stored with a file comes back, and is replaced as a whole."""
    settings = ContentSettings(
        content_type="text/plain",
        content_encoding="identity",
        content_language="de",
        content_disposition="inline",
        cache_control="no-cache",
        content_md5="XUFAKrxLKna5cZ2REBfFkg==",
    )
    client.create_file_from_bytes(share, None, "f", b"hello", content_settings=settings)

    found = client.get_file_properties(share, None, "f").properties.content_settings
    assert vars(settings) == vars(found)
    in_range = client.get_file_to_bytes(share, None, "f", start_range=1, end_range=2)
    assert (b"el", settings.content_md5) == (
        in_range.content,
        in_range.properties.content_settings.content_md5,
    )
    client.set_file_properties(share, None, "f", ContentSettings(content_language="fr"))
    found = client.get_file_properties(share, None, "f").properties.content_settings
    assert (found.content_language, found.cache_control) == ("fr", None)


def test_metadata_of_a_file(client, share):
    """Metadata keeps its case, is replaced as a whole, and goes with a new file of the name."""
    client.create_file(share, None, "f", 1, metadata=METADATA)
    assert dict(client.get_file_metadata(share, None, "f")) == METADATA

    client.set_file_metadata(share, None, "f", {"Only": "this"})
    assert dict(client.get_file_metadata(share, None, "f")) == {"Only": "this"}

    client.create_file(share, None, "F", 1)
    assert dict(client.get_file_metadata(share, None, "f")) == {}


def test_a_job_and_a_client_see_each_other_at_once(server, client, share):
    """The share is a directory: what one writes, the other reads."""
    folder: Path = server.folder(share)

    (folder / "out").mkdir()
    (folder / "out" / "stdout.txt").write_text("from the job")
    assert client.get_file_to_text(share, "out", "stdout.txt").content == "from the job"

    client.create_file_from_text(share, "out", "stdout.txt", "from the client")
    assert (folder / "out" / "stdout.txt").read_text() == "from the client"

    (folder / "out" / "stdout.txt").unlink()
    assert not client.exists(share, "out", "stdout.txt")


def test_deleting_a_file(client, share):
    """A deleted file is gone, its metadata too."""
    client.create_file(share, None, "f", 1, metadata={"a": "b"})

    client.delete_file(share, None, "f")

    assert not client.exists(share, None, "f")
    with pytest.raises(AzureMissingResourceHttpError):
        client.delete_file(share, None, "f")
    client.create_file(share, None, "f", 1)
    assert dict(client.get_file_metadata(share, None, "f")) == {}


def test_the_service_has_properties(client):
    """A client that asks for them gets some: no metrics, no rules."""
    properties = client.get_file_service_properties()

    assert (properties.hour_metrics.enabled, properties.cors) == (False, [])
