"""Copying a volume in: what changed remotely arrives, what a job wrote meanwhile stays."""

import time
from datetime import datetime
from functools import partial

from attrs import frozen

from batchai_recipes.volume_sync.copy_folder import Stamp
from batchai_recipes.volume_sync.crew import Crew
from batchai_recipes.volume_sync.manifest import Entry, Manifest
from batchai_recipes.volume_sync.names import parents_of
from batchai_recipes.volume_sync.remote_volume import Listing, RemoteFile
from batchai_recipes.volume_sync.sync_error import SyncError, explained
from batchai_recipes.volume_sync.volume_copy import VolumeCopy


@frozen
class Copied:
    """What a copy moved.

    Args:
        files: How many files.
        size: How many bytes.
        seconds: How long it took.
    """

    files: int = 0
    size: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        """Say it for a log."""
        return f"{self.files} files, {self.size / 1e6:.1f} MB in {self.seconds:.1f} s"


def copy_in(copy: VolumeCopy) -> Copied:
    """Bring a copy up to date with its volume.

    Of a file that changed on both sides the later version stays.

    Args:
        copy: The copy.

    Returns:
        What was downloaded.

    Raises:
        SyncError: The volume cannot be copied.
    """
    begun = time.monotonic()
    try:
        copy.remote.check()
        with copy.held() as manifest:
            listing = copy.remote.listing()
            for name, problem in sorted(listing.skipped.items()):
                copy.note(f"{name!r} is not copied in: {problem}")
            _make_directories(copy, manifest, listing)
            due = [file for file in listing.files.values() if _is_due(copy, manifest, file)]
            size = 0
            with Crew() as crew:
                for file, entry in crew.each(partial(_download, copy), due):
                    manifest.files[file.path] = entry
                    size += entry.stamp.size
            _remove_what_is_gone(copy, manifest, listing)
    except SyncError:
        raise
    except Exception as error:
        raise explained(error, copy.volume) from error
    copy.mark_ready()
    return Copied(len(due), size, time.monotonic() - begun)


def is_later(stamp: Stamp, moment: datetime) -> bool:
    """Tell whether a local file was written after a remote one was changed.

    Args:
        stamp: The local file.
        moment: When the remote one was changed.
    """
    return stamp.modified_ns / 1e9 > moment.timestamp()


def _make_directories(copy: VolumeCopy, manifest: Manifest, listing: Listing) -> None:
    # Those with a manifest entry but no place any more were deleted by a job.
    for directory in sorted(listing.directories - manifest.directories):
        copy.folder.make_directory(directory, copy.volume.directory_mode)
        manifest.directories.add(directory)
    for path in listing.files:
        manifest.directories.update(parents_of(path))


def _is_due(copy: VolumeCopy, manifest: Manifest, file: RemoteFile) -> bool:
    known = manifest.files.get(file.path)
    stamp = copy.folder.stamp(file.path)
    if known is not None and known.version == file.version:
        return False  # what a job did to it, or its deletion, is for the copy back
    if stamp is None:
        return True
    if known is None and (stamp.size, stamp.modified_ns) == (file.size, _nanoseconds(file.written)):
        # A copy in that was killed had it already.
        manifest.files[file.path] = Entry(stamp, file.version)
        return False
    if known is not None and stamp == known.stamp:
        return True
    if is_later(stamp, file.changed):
        return False
    copy.note(f"{file.path!r} changed on both sides: the later version, the remote one, is kept")
    return True


def _download(copy: VolumeCopy, file: RemoteFile) -> Entry:
    volume = copy.volume
    mode = volume.file_mode & 0o555 if volume.read_only else volume.file_mode
    try:
        with copy.folder.writing(file.path, mode=mode, directory_mode=volume.directory_mode) as new:
            read = copy.remote.download(file.path, new.file)
            new.modified_ns = _nanoseconds(read.written)
    except Exception as error:
        raise explained(error, volume, file.path) from error
    if new.stamp is None or new.stamp.size != read.size:
        raise SyncError(f"{volume}, file {file.path!r}: not all of it arrived", temporary=True)
    return Entry(new.stamp, read.version)


def _remove_what_is_gone(copy: VolumeCopy, manifest: Manifest, listing: Listing) -> None:
    for path in [path for path in manifest.files if path not in listing.files]:
        stamp = copy.folder.stamp(path)
        if stamp == manifest.files[path].stamp:
            copy.folder.remove_file(path)
        del manifest.files[path]  # what a job has made of it is new to the volume
    there = set(listing.directories)
    for path in listing.files:
        there.update(parents_of(path))
    for directory in sorted(manifest.directories - there, reverse=True):
        copy.folder.remove_directory(directory)
        manifest.directories.discard(directory)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6) * 1000
