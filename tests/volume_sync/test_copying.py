"""Copies of a share and of a container, with someone else at the other end."""

import os
import time

import pytest

from batchai_recipes.volume_sync.copying_back import CopyBack
from batchai_recipes.volume_sync.copying_in import copy_in
from batchai_recipes.volume_sync.sync_error import SyncError
from batchai_recipes.volume_sync.volume_copy import VolumeCopy


class Side:
    """A copy of a volume on this machine, as a job sees it."""

    def __init__(self, volume):
        self.copy = VolumeCopy(volume)
        self.back = CopyBack(self.copy)
        self.data = volume.folder / "data"

    def copied_in(self):
        """Copy in; return how many files came."""
        return copy_in(self.copy).files

    def copied_back(self, *, last=True):
        """Copy back; return how many files went and what went wrong."""
        copied, failures = self.back.run(last=last)
        return copied.files, [str(failure) for failure in failures]

    def write(self, path, content, *, age_seconds=0):
        """Write a file as a job does."""
        file = self.data / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        moment = time.time() - age_seconds
        os.utime(file, (moment, moment))

    def names(self):
        """Return every path, those of directories with a closing slash."""
        return {
            str(path.relative_to(self.data)) + ("/" if path.is_dir() else "")
            for path in self.data.rglob("*")
        }

    def notes(self):
        """Return what was noted since this was last asked."""
        return "\n".join(self.copy.untold_notes())


@pytest.fixture
def side(end, volume_of):
    """A copy of the volume."""
    return Side(volume_of(end))


def test_all_of_a_volume_is_copied_in_and_only_once(end, side):
    """Deep, empty and large files, empty directories; the second time nothing moves."""
    large = os.urandom(9 * 1024 * 1024 + 17)
    end.put("code/train.py", b"print()")
    end.put("data/deep/er/large.bin", large)
    end.put("empty.txt", b"")
    end.make_directory("nothing")

    assert side.copied_in() == 3
    assert side.copied_in() == 0
    expected = {
        *("code/", "code/train.py", "data/", "data/deep/", "data/deep/er/"),
        *("data/deep/er/large.bin", "empty.txt", "nothing/"),
    }
    assert expected == side.names()
    assert (side.data / "data/deep/er/large.bin").read_bytes() == large
    assert side.copied_back() == (0, [])


def test_what_changes_remotely_arrives_with_the_next_copy_in(end, side):
    """New files come, changed ones are replaced, deleted ones go."""
    for name in ("same", "changed", "deleted"):
        end.put(f"d/{name}", b"first")
    side.copied_in()
    end.put("d/changed", b"second")
    end.put("e/new", b"new")
    end.delete("d/deleted")

    assert side.copied_in() == 2
    assert side.names() == {"d/", "d/same", "d/changed", "e/", "e/new"}
    assert (side.data / "d/changed").read_bytes() == b"second"


def test_what_a_job_writes_is_copied_back_once(end, side):
    """New, changed and empty files, and empty directories."""
    large = os.urandom(9 * 1024 * 1024 + 17)
    end.put("in.txt", b"in")
    end.put("untouched", b"as it was")
    side.copied_in()
    side.write("in.txt", b"out")
    side.write("out/models/large.bin", large)
    side.write("out/empty", b"")
    (side.data / "nothing").mkdir()

    assert side.copied_back(last=False) == (3, [])
    assert side.copied_back() == (0, [])
    expected = {
        *("in.txt", "untouched", "out/", "out/empty", "out/models/", "out/models/large.bin"),
        "nothing/",
    }
    assert expected == end.names()
    assert end.get("in.txt") == b"out"
    assert end.get("out/models/large.bin") == large


def test_what_a_job_deletes_is_deleted_at_the_end(end, side):
    """Not before, and nothing that the job never had."""
    end.put("d/deleted", b"x")
    end.put("d/kept", b"x")
    side.copied_in()
    end.put("d/later", b"not here")
    (side.data / "d/deleted").unlink()

    side.copied_back(last=False)
    assert "d/deleted" in end.names()
    side.copied_back()
    assert end.names() == {"d/", "d/kept", "d/later"}


def test_a_deleted_file_that_changed_remotely_is_kept(end, side):
    """Someone still needs it."""
    end.put("file", b"old")
    side.copied_in()
    (side.data / "file").unlink()
    end.put("file", b"new")

    side.copied_back()
    assert end.get("file") == b"new"
    assert "it is kept" in side.notes()


@pytest.mark.parametrize(("age_seconds", "kept"), [(3600, b"theirs"), (-3600, b"mine")])
def test_of_a_file_that_changed_on_both_sides_the_later_version_stays(end, side, age_seconds, kept):
    """On the way back and on the way in."""
    end.put("back", b"first")
    end.put("in", b"first")
    side.copied_in()
    for name in ("back", "in"):
        side.write(name, b"mine", age_seconds=age_seconds)
        end.put(name, b"theirs")

    side.copied_back()
    assert end.get("back") == kept
    side.copied_in()
    assert (side.data / "in").read_bytes() == kept
    assert ("changed on both sides" in side.notes()) == (kept == b"theirs")


def test_a_file_in_the_place_of_a_directory_and_the_other_way_round(end, side):
    """The deletion makes room."""
    end.put("was-directory/file", b"x")
    end.put("was-file", b"x")
    side.copied_in()
    (side.data / "was-directory/file").unlink()
    (side.data / "was-directory").rmdir()
    side.write("was-directory", b"file now")

    assert side.copied_back() == (1, [])
    assert end.names() == {"was-directory", "was-file"}


def test_links_and_other_special_files_are_told_not_copied(end, side, tmp_path):
    """A link is no way to read or write what lies elsewhere on this machine."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("hunter2")
    end.put("file", b"x")
    side.copied_in()
    (side.data / "link").symlink_to(secret / "key")
    (side.data / "folder").symlink_to(secret)
    os.mkfifo(side.data / "pipe")

    assert side.copied_back() == (0, [])
    assert end.names() == {"file"}
    notes = side.notes()
    assert "'link' is not copied back: it is a symbolic link" in notes
    assert "'pipe' is not copied back: it is no regular file" in notes


def test_a_planted_link_does_not_lead_a_copy_out_of_its_folder(end, side, tmp_path):
    """A directory that a job made into a link is not written through."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (side.data / "d").symlink_to(outside)
    end.put("d/file", b"x")

    with pytest.raises(SyncError):
        side.copied_in()
    assert list(outside.iterdir()) == []


def test_without_its_folder_a_copy_deletes_nothing(end, side):
    """A disk that is gone is no wish to delete."""
    end.put("file", b"x")
    side.copied_in()
    side.data.rename(side.data.with_name("moved"))

    with pytest.raises(SyncError, match="is gone"):
        side.copied_back()
    assert end.names() == {"file"}


def test_a_copy_in_that_was_killed_is_taken_up(end, side):
    """What had arrived is not downloaded again."""
    end.put("a", b"x")
    end.put("b", b"x")
    side.copied_in()
    (side.copy.volume.folder / "manifest.json").unlink()
    (side.data / "b").unlink()
    (side.copy.volume.folder / "parts" / "left").write_bytes(b"half")

    assert Side(side.copy.volume).copied_in() == 1
    assert side.names() == {"a", "b"}
    assert list((side.copy.volume.folder / "parts").iterdir()) == []


def test_two_copies_of_one_volume_see_each_others_work(end, volume_of):
    """As two jobs do that mount one share."""
    one, two = Side(volume_of(end, "one")), Side(volume_of(end, "two"))
    one.write("from-one", b"1")
    one.copied_back()
    two.copied_in()
    two.write("from-two", b"2")
    two.copied_back()
    one.copied_in()
    assert one.names() == two.names() == {"from-one", "from-two"}


def test_read_only_files_carry_no_write_permission(end, volume_of):
    """Whoever is not root is told at once."""
    end.put("file", b"x")
    side = Side(volume_of(end, read_only=True, file_mode=0o764))
    side.copied_in()
    assert (side.data / "file").stat().st_mode & 0o777 == 0o544


def test_the_modes_of_files_and_directories_are_those_asked_for(end, volume_of):
    """As a mount with file_mode and dir_mode shows them."""
    end.put("d/file", b"x")
    side = Side(volume_of(end, file_mode=0o640, directory_mode=0o750))
    side.copied_in()
    modes = [(side.data / path).stat().st_mode & 0o777 for path in ("d/file", "d")]
    assert modes == [0o640, 0o750]


@pytest.mark.parametrize("action", ["in", "back"])
def test_a_wrong_key_is_told_as_such(end, volume_of, action):
    """Without the key."""
    side = Side(volume_of(end, key="d3JvbmcgYnV0IGJhc2U2NA=="))
    side.write("file", b"x")
    with pytest.raises(SyncError, match=r"check credentials\.accountKey") as caught:
        side.copied_in() if action == "in" else side.copied_back()
    assert caught.value.whole
    assert "d3Jvbm" not in str(caught.value)


def test_a_missing_share_or_container_is_told_as_such(end, volume_of):
    """With its name and account."""
    side = Side(volume_of(end, name="missing"))
    with pytest.raises(SyncError, match=r"'missing' of account .* create it"):
        side.copied_in()


def test_an_endpoint_out_of_reach_is_told_as_such(end, volume_of):
    """And may be there again later."""
    side = Side(volume_of(end, endpoint="http://127.0.0.1:9/account"))
    with pytest.raises(SyncError, match="cannot be reached") as caught:
        side.copied_in()
    assert caught.value.temporary


def test_a_key_that_is_not_base64_is_told_as_such(end, volume_of):
    """The client's own words are about padding."""
    with pytest.raises(SyncError, match="not base64"):
        Side(volume_of(end, key="not a key")).copied_in()


class TestShares:
    """What only shares are like."""

    def test_names_that_azure_files_forbids_are_told(self, share, volume_of):
        """They cannot be kept, so the copy back fails, after the others have gone."""
        side = Side(volume_of(share))
        side.write("fine", b"x")
        side.write("12:30.log", b"x")
        side.write("ends.", b"x")
        copied, failures = side.copied_back()
        assert copied == 1
        assert ["12:30.log" in failures[0], "ends." in failures[1]] == [True, True]

    def test_names_that_differ_in_case_only_do_not_overwrite_each_other(self, share, volume_of):
        """The first one is kept."""
        side = Side(volume_of(share))
        side.write("Model", b"first")
        side.copied_back()
        side.write("model", b"second")
        _, failures = side.copied_back()
        assert "nothing but case" in failures[0]
        assert share.get("Model") == b"first"

    def test_an_upload_that_was_killed_leaves_nothing_for_long(self, share, volume_of):
        """The next copy in of the same copy sweeps it away, and shows it to nobody."""
        side = Side(volume_of(share))
        own = side.copy.remote._own
        share.put(f".batchai-{own}-{'0' * 32}.part", b"half")
        other = f".batchai-{'f' * 12}-{'0' * 32}.part"
        share.put(other, b"half")
        side.copied_in()
        assert side.names() == set()
        assert share.names() == {other}


class TestContainers:
    """What only containers are like."""

    def test_names_that_are_no_paths_are_told_not_copied(self, container, volume_of, tmp_path):
        """None of them leads out of the folder, and the others arrive."""
        names = ("good/file", "/absolute", "a//b", f"{'x' * 300}/long", "file/", "both", "both/in")
        for name in names:
            container.put(name, b"x")
        side = Side(volume_of(container))
        side.copied_in()
        assert side.names() == {"good/", "good/file", "both/", "both/in"}
        notes = side.notes()
        for name in ("'/absolute'", "'a//b'", "'file/'", "long", "'both'"):
            assert name in notes
        assert {path.name for path in tmp_path.iterdir()} == {"copy"}

    def test_append_and_page_blobs_are_files_too(self, container, volume_of):
        """Their content is copied as it is."""
        container.client.get_blob_client("append").create_append_blob()
        container.client.get_blob_client("append").append_block(b"log")
        container.client.get_blob_client("page").create_page_blob(512)
        side = Side(volume_of(container))
        assert side.copied_in() == 2
        assert (side.data / "append").read_bytes() == b"log"
        assert (side.data / "page").read_bytes() == bytes(512)

    def test_compressed_blobs_arrive_as_they_are_stored(self, container, volume_of):
        """The client would unpack what says that it is gzip."""
        from azure.storage.blob import ContentSettings  # noqa: PLC0415 - only here

        packed = b"\x1f\x8b not really gzip"
        settings = ContentSettings(content_encoding="gzip")
        container.client.upload_blob("packed", packed, content_settings=settings)
        side = Side(volume_of(container))
        side.copied_in()
        assert (side.data / "packed").read_bytes() == packed
