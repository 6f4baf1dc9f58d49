"""What only azure-storage-file-share can ask for: leases, renaming, copying."""

import pytest
from azure.core.exceptions import HttpResponseError

METADATA = {"Kind": "data"}


@pytest.fixture
def share(modern):
    """The name of a share that exists."""
    modern.create_share("data")
    return "data"


def refused(code, modern, call, *arguments, **options):
    """Expect Azure's code of a refusal."""
    with pytest.raises(HttpResponseError) as caught:
        modern.do(call(*arguments, **options))
    # An enum where the client knows the code.
    assert code == getattr(caught.value.error_code, "value", caught.value.error_code)


def test_a_leased_file_is_changed_by_the_holder_only(modern, share):
    """Writing and deleting take the id; reading does not; breaking frees it."""
    modern.upload(share, "f", b"old")
    file = modern.of_file(share, "f")

    lease = modern.do(file.acquire_lease())

    refused("LeaseAlreadyPresent", modern, file.acquire_lease)
    refused("LeaseIdMissing", modern, file.delete_file)
    refused("LeaseIdMissing", modern, file.upload_range, b"new", 0, 3)
    refused("LeaseIdMissing", modern, file.set_file_metadata, METADATA)
    refused("LeaseIdMissing", modern, file.resize_file, 1)
    refused("LeaseIdMissing", modern, file.create_file, 1)
    modern.do(file.upload_range(b"new", 0, 3, lease=lease))
    modern.do(file.create_file(3, lease=lease))
    modern.do(file.upload_range(b"new", 0, 3, lease=lease))
    assert modern.download(share, "f") == b"new"
    assert modern.do(file.get_file_properties()).lease.state == "leased"
    other = "11111111-2222-3333-4444-555555555555"
    refused("LeaseIdMismatchWithFileOperation", modern, file.delete_file, lease=other)
    modern.do(lease.change(other))
    assert lease.id == other
    modern.do(lease.break_lease())
    assert modern.do(file.get_file_properties()).lease.state == "broken"
    modern.do(file.delete_file())


def test_a_released_lease(modern, share):
    """It can be taken again; the old id is refused."""
    modern.upload(share, "f", b"x")
    file = modern.of_file(share, "f")
    lease = modern.do(file.acquire_lease())
    lease_id = lease.id

    modern.do(lease.release())

    refused("LeaseNotPresentWithFileOperation", modern, file.delete_file, lease=lease_id)
    modern.do(file.acquire_lease())


def test_a_lease_on_a_share_runs_out(modern, share, server):
    """Within its time, deleting and describing anew take the id; later, nothing."""
    client = modern.of_share(share)
    lease = modern.do(client.acquire_lease(lease_duration=15))

    refused("LeaseIdMissing", modern, client.delete_share)
    refused("LeaseIdMissing", modern, client.set_share_metadata, METADATA)
    modern.do(client.set_share_metadata(METADATA, lease=lease))
    server.clock.advance(seconds=14)
    modern.do(lease.renew())
    server.clock.advance(seconds=14)
    refused("LeaseIdMissing", modern, client.delete_share)
    server.clock.advance(seconds=2)
    assert modern.do(client.get_share_properties()).lease.state == "expired"
    modern.do(client.delete_share())


def test_breaking_the_lease_of_a_share_takes_the_period(modern, share, server):
    """Until then it holds."""
    client = modern.of_share(share)
    lease = modern.do(client.acquire_lease(lease_duration=-1))

    assert modern.do(lease.break_lease(lease_break_period=10)) == 10

    refused("LeaseIsBreakingAndCannotBeAcquired", modern, client.acquire_lease)
    server.clock.advance(seconds=11)
    modern.do(client.acquire_lease())


def test_a_listing_tells_more_on_demand(modern, share):
    """ETag, times and attributes are those that the properties tell."""
    modern.create_directory(share, "d")
    modern.upload(share, "f", b"abc")
    listing = modern.of_share(share).list_directories_and_files(
        include=["timestamps", "Etag", "Attributes", "PermissionKey"], include_extended_info=True
    )

    found = {item.name: item for item in modern.all(listing)}

    known = modern.do(modern.of_file(share, "f").get_file_properties())
    assert (found["f"].etag, found["f"].size) == (known.etag, 3)
    assert found["f"].last_modified == known.last_modified
    # A listing's times stay texts.
    for listed, time in (
        (found["f"].last_write_time, known.last_write_time),
        (found["f"].change_time, known.change_time),
    ):
        assert str(listed) == f"{time:%Y-%m-%dT%H:%M:%S.%f}0Z"
    assert found["f"].file_id == known.file_id
    assert str(found["f"].file_attributes) == "Archive"
    assert found["d"].is_directory
    assert str(found["d"].file_attributes) == "Directory"
    plain = modern.all(modern.of_share(share).list_directories_and_files())
    assert {item.etag for item in plain} == {None}


def test_a_file_is_renamed(modern, share):
    """Content and metadata go along; a file in the way is replaced only on demand."""
    modern.create_directory(share, "d")
    modern.upload(share, "a", b"from a")
    modern.upload(share, "d/b", b"from b")
    file = modern.of_file(share, "a")

    refused("ResourceAlreadyExists", modern, file.rename_file, "d/B")
    modern._opened(modern.do(file.rename_file("d/B", overwrite=True)))

    assert modern.listing(share) == {("d", None)}
    assert modern.listing(share, "d") == {("b", 6)}
    assert modern.download(share, "d/b") == b"from a"
    assert modern.file(share, "d/b") == (6, "text/x-test", METADATA)


def test_renaming_to_another_case(modern, share):
    """The file keeps what is known of it."""
    modern.upload(share, "name", b"x")

    modern._opened(modern.do(modern.of_file(share, "name").rename_file("NAME")))

    assert modern.listing(share) == {("NAME", 1)}
    assert modern.file(share, "name")[2] == METADATA


def test_a_directory_is_renamed_with_all_below(modern, share):
    """What is recorded of the files below goes along; into itself it cannot go."""
    modern.create_directory(share, "old", METADATA)
    modern.create_directory(share, "old/sub")
    modern.upload(share, "old/sub/f", b"x")
    directory = modern.of_directory(share, "old")

    refused("InvalidHeaderValue", modern, directory.rename_directory, "old/sub/old")
    modern._opened(modern.do(directory.rename_directory("new")))

    assert modern.listing(share) == {("new", None)}
    assert modern.directory(share, "new") == METADATA
    assert modern.file(share, "new/sub/f") == (1, "text/x-test", METADATA)


def test_a_leased_file_is_renamed_by_the_holder_only(modern, share):
    """The source's lease has a header of its own."""
    modern.upload(share, "a", b"x")
    file = modern.of_file(share, "a")
    lease = modern.do(file.acquire_lease())

    refused("LeaseIdMissing", modern, file.rename_file, "b")
    modern._opened(modern.do(file.rename_file("b", source_lease=lease)))

    assert modern.listing(share) == {("b", 1)}


def test_a_file_is_copied(modern, share, server):
    """Content, holes, content type and metadata; at once complete; onto itself too."""
    modern.create_share("other")
    modern.upload(share, "a", b"hello")
    with (server.folder(share) / "a").open("r+b") as file:
        file.truncate(1 << 24)
    source = modern.of_file(share, "a").url
    target = modern.of_file("other", "b")

    assert modern.do(target.start_copy_from_url(source))["copy_status"] == "success"

    assert modern.download("other", "b") == b"hello".ljust(1 << 24, b"\0")
    assert (server.folder("other") / "b").stat().st_blocks * 512 < 1 << 20
    assert modern.file("other", "b") == (1 << 24, "text/x-test", METADATA)
    known = modern.do(target.get_file_properties())
    assert (known.copy.status, known.copy.source) == ("success", source)
    modern.do(target.start_copy_from_url(target.url, metadata={"a": "b"}))
    assert modern.file("other", "b") == (1 << 24, "text/x-test", {"a": "b"})
    refused("NoPendingCopyOperation", modern, target.abort_copy, known.copy.id)
    assert sorted(item.name for item in server.folder("x").parent.iterdir()) == ["data", "other"]


def test_a_range_is_copied(modern, share):
    """From one file into another."""
    modern.upload(share, "a", b"0123456789")
    modern.create_file(share, "b", 4)
    source, target = modern.of_file(share, "a"), modern.of_file(share, "b")
    # The client takes a source only with a signature of its own.
    sas = modern.models.generate_file_sas(
        source.account_name,
        share,
        ["a"],
        modern.of_service().credential.account_key,
        permission="r",
        expiry="2100-01-01T00:00:00Z",
    )

    modern.do(target.upload_range_from_url(f"{source.url}?{sas}", 1, 3, 5))

    assert modern.download(share, "b") == b"\x00567"
    refused("InvalidRange", modern, target.upload_range_from_url, f"{source.url}?{sas}", 0, 4, 8)
