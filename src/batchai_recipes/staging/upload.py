"""Moving what a staging names to its share, several files at a time, and only what changed.

What is on the share is known from an index file in the share's root. It holds the size, the SHA-256
and the entity tag of each staged file. A file is left alone only when all three agree with what is
there now: the local file has the size and the hash of the index, and the share's file the size and
the entity tag. Every write gives a file another entity tag, also one by a job through the mount, so
a file that a job changed is sent again. An index that is lost, damaged or half written costs no
more than sending again.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from batchai_recipes.concurrency import Pending, concurrency_of
from batchai_recipes.errors import StagingError
from batchai_recipes.refusals import explained
from batchai_recipes.staging.drafts import Drafts, clear_left
from batchai_recipes.staging.file_share_staging import FileShareStaging, StagedFile
from batchai_recipes.staging.file_shares import shares_of
from batchai_recipes.staging.local_file import opened
from batchai_recipes.staging.progress import Advance, progress
from batchai_recipes.staging.share_files import Listing
from batchai_recipes.staging.staged_manifest import (
    StagedContent,
    StagedManifest,
    index_from_json,
    index_to_json,
)
from batchai_recipes.staging.transfer import Transfer
from batchai_recipes.staging.web_file import StagedUrl

if TYPE_CHECKING:
    from batchai_recipes.connection import Connection

INDEX: Final = ".batchai-recipes-staged.json"
"""The file in the root of a share that says what was staged to it."""

_SECONDS_BETWEEN_INDICES: Final = 30.0
_FILES_WORTH_A_LINE_EACH: Final = 20


def create_share(
    connection: "Connection", share: str, metadata: Mapping[str, str] | None = None
) -> bool:
    """Create a file share unless it exists.

    Args:
        connection: The connection that has the storage account.
        share: The share's name.
        metadata: What to note on the share.

    Returns:
        Whether it was made now.

    Raises:
        StagingError: The service refused or did not answer.
    """
    with explained(f"create file share {share}", StagingError):
        return shares_of(connection).create(share, metadata or {})


def upload(
    connection: "Connection",
    staging: FileShareStaging,
    report: Callable[[str], None],
    *,
    owner: str = "",
    is_gone: Callable[[str], bool | None] = lambda _: None,
) -> StagedManifest:
    """Create the directories of a staging on its share and upload its files that changed.

    Args:
        connection: The connection that has the storage account.
        staging: What goes to the share, which exists.
        report: Told of what was uploaded.
        owner: Who does it, in letters, digits and ``-``, so that drafts that are left can be told
            from those that are being written; empty for nobody in particular.
        is_gone: Tells whether an owner of drafts is gone; None where that is not known.

    Returns:
        What is on the share now.

    Raises:
        StagingError: The service refused or did not answer, or a local file went away or changed
            while it was sent. What was sent before is not sent again the next time.
    """
    with progress("Uploading", sum(file.size for file in staging.files)) as advance:
        manifest = _Upload(connection, staging, advance, owner, is_gone).run()
    _report(manifest, report)
    return manifest


class _Upload:
    def __init__(
        self,
        connection: "Connection",
        staging: FileShareStaging,
        advance: Advance,
        owner: str,
        is_gone: Callable[[str], bool | None],
    ) -> None:
        concurrency = concurrency_of(connection)
        files = shares_of(connection).files(staging.share, staging.max_connections)
        self._files = files
        self._fetch = connection._fetch()  # noqa: SLF001 - not for users, who have no use for it
        self._aside = concurrency.aside
        self._staging = staging
        self._advance = advance
        self._drafts = Drafts(files, owner)
        self._is_gone_owner = is_gone
        self._transfer = Transfer(files, self._drafts, advance, concurrency)
        self._crew = concurrency.crew(files.max_connections, "batchai-upload")
        self._listings: dict[str, Listing] = {}
        self._index: dict[str, StagedContent] = {}
        self._sent: set[str] = set()
        self._saved_at = time.monotonic()
        self._unsaved = False

    def run(self) -> StagedManifest:
        tasks: list[Pending[tuple[StagedContent, bool]]] = []
        try:
            self._look()
            tasks += [self._crew.submit(self._stage, file) for file in self._staging.files]
            tasks += [self._crew.submit(self._stage_url, url) for url in self._staging.urls]
            for task in self._crew.completed(tasks):
                self._note(*task.result())
                if time.monotonic() - self._saved_at > _SECONDS_BETWEEN_INDICES:
                    self._save()
        except BaseException:
            self._stop()
            for task in tasks:
                if not task.cancelled() and not task.exception():
                    self._note(*task.result())
            for finish in (self._save, self._clear):
                with suppress(StagingError):  # the first error is the one to tell
                    finish()
            raise
        finally:
            self._stop()
        self._save()
        self._clear()
        paths = [file.path for file in self._staging.files]
        paths += [url.path for url in self._staging.urls]
        staged = tuple(self._index[path] for path in paths)
        sent = tuple(file.path for file in staged if file.path in self._sent)
        return StagedManifest(self._staging.share, staged, sent)

    def _look(self) -> None:
        with self._explained("list it"):
            root = self._files.list("") or Listing(frozenset(), {})
            clear_left(self._files, root, self._is_gone_owner)
        self._listings[""] = root
        for level in _by_depth(self._staging):
            for directory, listing in zip(level, self._crew.map(self._reach, level), strict=True):
                self._listings[directory] = listing
        if INDEX in self._listings[""].files:
            with self._explained(f"read {INDEX}"):
                self._index = index_from_json(self._files.read(INDEX))

    def _reach(self, directory: str) -> Listing:
        """List a directory whose parent is known; make it where it is missing."""
        path = PurePosixPath(directory)
        known = path.name in self._listings[_parent(directory)].directories
        with self._explained(f"create directory {directory}"):
            listing = self._files.list(directory) if known else None
            if listing is None:
                self._files.create_directory(directory)
        return listing or Listing(frozenset(), {})

    def _stage(self, file: StagedFile) -> tuple[StagedContent, bool]:
        """Return a file as it is on the share, and whether it was sent now."""
        with self._explained(f"upload {file.source} as {file.path}"):
            return self._stage_content(file.source, file.path)

    def _stage_url(self, item: StagedUrl) -> tuple[StagedContent, bool]:
        with self._explained(f"upload {item.path}"):
            known = self._index.get(item.path)
            if known and known.sha256 == item.sha256 and self._is_there(known):
                return known, False
            with item.fetched(self._fetch) as source:
                return self._stage_content(source, item.path)

    def _stage_content(self, source: Path, path: str) -> tuple[StagedContent, bool]:
        with opened(source) as local:
            known = self._index.get(path)
            if known and local.size == known.size and self._is_there(known):
                same = self._aside(local.sha256) == known.sha256
                local.check_unchanged()
                if same:
                    self._advance(local.size)
                    return known, False
            return self._transfer.send(local, path), True

    def _is_there(self, known: StagedContent) -> bool:
        path = PurePosixPath(known.path)
        listed = self._listings[_parent(known.path)].files.get(path.name)
        if not listed or listed.size != known.size:
            return False
        return known.etag == (listed.etag or self._files.etag(known.path))

    def _note(self, content: StagedContent, sent: bool) -> None:  # noqa: FBT001 - of `_stage`
        if sent:
            self._index[content.path] = content
            self._sent.add(content.path)
            self._unsaved = True

    def _save(self) -> None:
        if not self._unsaved:
            return
        text = index_to_json(file for file in self._index.values() if not self._is_gone(file.path))
        with self._explained(f"write {INDEX}"):
            self._files.create(INDEX, len(text))
            for start in range(0, len(text), self._files.range_size):
                self._files.write(INDEX, text[start : start + self._files.range_size], start)
        self._unsaved = False
        self._saved_at = time.monotonic()

    def _is_gone(self, path: str) -> bool:
        listing = self._listings.get(_parent(path))
        name = PurePosixPath(path).name
        return path not in self._sent and listing is not None and name not in listing.files

    def _stop(self) -> None:
        self._transfer.close()
        self._crew.close()

    def _clear(self) -> None:
        with self._explained("delete what was not finished"):
            self._drafts.close()

    def _explained(self, action: str) -> AbstractContextManager[None]:
        return explained(f"stage to share {self._staging.share}: {action}", StagingError)


def _by_depth(staging: FileShareStaging) -> list[list[str]]:
    """Return the directories of a staging with those above them, parents first."""
    levels: dict[int, dict[str, None]] = {}
    for directory in (*staging.directories, *staging.tree_directories):
        path = PurePosixPath(directory)
        for depth, part in enumerate([*reversed(path.parents[:-1]), path]):
            levels.setdefault(depth, {})[str(part)] = None
    return [list(levels[depth]) for depth in sorted(levels)]


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _report(manifest: StagedManifest, report: Callable[[str], None]) -> None:
    sent = [file for file in manifest.files if file.path in set(manifest.sent)]
    if len(sent) <= _FILES_WORTH_A_LINE_EACH:
        for file in sent:
            report(f"Uploaded {file.path} ({file.size:,} bytes)")
    else:
        report(f"Uploaded {len(sent):,} files ({sum(file.size for file in sent):,} bytes)")
    unchanged = len(manifest.files) - len(sent)
    if unchanged:
        size = manifest.size - sum(file.size for file in sent)
        report(f"Unchanged on share {manifest.share}: {unchanged:,} files ({size:,} bytes)")
