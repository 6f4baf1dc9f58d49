"""Sending one file to a share: small ones at once, the parts of large ones side by side."""

import hashlib
import logging
from collections import deque
from typing import Final

from attrs import evolve

from batchai_recipes.concurrency import Concurrency, Pending
from batchai_recipes.staging.drafts import Drafts
from batchai_recipes.staging.file_shares import Share
from batchai_recipes.staging.local_file import LocalFile
from batchai_recipes.staging.progress import Advance
from batchai_recipes.staging.staged_manifest import StagedContent

_LOG: Final = logging.getLogger("batchai_recipes.staging")
# For a larger file a request more does not matter, but the MD5 that goes with it does.
_WORTH_ONE_REQUEST: Final = 64 * 1024


class Transfer:
    """Sends files to a share; may be used from several threads.

    A file appears whole: it is made in one request, or as a draft that gets its name at the end.
    Where a service does neither, it is written in its place, and gets into the manifest, by its
    entity tag, only after its last part, so that one that was sent half is never taken for whole.

    Args:
        files: The share.
        drafts: Where they are written until they are whole.
        advance: Told of bytes that were sent.
        concurrency: How things are done side by side.
    """

    def __init__(
        self, files: Share, drafts: Drafts, advance: Advance, concurrency: Concurrency
    ) -> None:
        self._files = files
        self._drafts = drafts
        self._advance = advance
        self._aside = concurrency.aside
        self._ranges = concurrency.crew(files.max_connections, "batchai-range")
        self._in_memory = files.max_connections + 2
        self._zeros = bytes(files.range_size)

    def close(self) -> None:
        """Give up what has not been sent yet."""
        self._ranges.close()

    def send(self, local: LocalFile, path: str) -> StagedContent:
        """Send a file.

        Args:
            local: The file.
            path: Where it goes on the share.

        Returns:
            The file as it is on the share now.

        Raises:
            StagingError: The local file changed meanwhile.
        """
        _LOG.debug("Sending %s, %d bytes", path, local.size)
        if local.size <= self._files.range_size:
            return self._send_at_once(local, path)
        return self._send_in_parts(local, path)

    def _send_at_once(self, local: LocalFile, path: str) -> StagedContent:
        if local.size <= _WORTH_ONE_REQUEST:
            content, sha256 = _read_and_hashed(local)
        else:
            content, sha256 = self._aside(_read_and_hashed, local)
        etag = self._send_content(path, content, sha256)
        self._advance(len(content))
        return StagedContent(path, len(content), sha256, etag)

    def _send_content(self, path: str, content: bytes, sha256: str) -> str:
        if self._is_zeros(content):  # a new file is zeros
            return self._files.create(path, len(content), sha256)
        is_small = len(content) <= _WORTH_ONE_REQUEST
        if self._drafts.work and not (is_small and self._files.takes_content):
            draft = self._drafts.begin()
            self._write_content(draft, content, sha256)
            etag = self._drafts.finish(draft, path, sha256)
            if etag is not None:
                return etag
        return self._write_content(path, content, sha256)

    def _write_content(self, path: str, content: bytes, sha256: str) -> str:
        if len(content) <= _WORTH_ONE_REQUEST:
            made = self._files.create_with(path, content, sha256)
            if made.has_content:
                return made.etag
        else:
            self._files.create(path, len(content), sha256)
        return self._files.write(path, content, 0)

    def _send_in_parts(self, local: LocalFile, path: str) -> StagedContent:
        if self._drafts.work:
            draft = self._drafts.begin()
            made = self._write_parts(local, draft)
            etag = self._drafts.finish(draft, path, made.sha256)
            if etag is not None:
                return evolve(made, path=path, etag=etag)
            local.rewind()
        return self._write_parts(local, path)

    def _write_parts(self, local: LocalFile, path: str) -> StagedContent:
        # Read once, in order: what is hashed is what is sent.
        self._files.create(path, local.size)
        digest = hashlib.sha256()
        parts: deque[Pending[None]] = deque()
        for start in range(0, local.size, self._files.range_size):
            if len(parts) == self._in_memory:
                parts.popleft().result()
            size = min(self._files.range_size, local.size - start)
            content = self._aside(_read_into, local, digest, size)
            parts.append(self._ranges.submit(self._send_part, path, content, start))
        for part in parts:
            part.result()
        local.check_unchanged()
        etag = self._files.set_hash(path, digest.hexdigest())
        return StagedContent(path, local.size, digest.hexdigest(), etag)

    def _send_part(self, path: str, content: bytes, start: int) -> None:
        if not self._is_zeros(content):  # a new file is zeros
            self._files.write(path, content, start)
        self._advance(len(content))

    def _is_zeros(self, content: bytes) -> bool:
        return content == (
            self._zeros if len(content) == len(self._zeros) else self._zeros[: len(content)]
        )


def _read_and_hashed(local: LocalFile) -> tuple[bytes, str]:
    content = local.read(local.size)
    local.check_unchanged()
    return content, hashlib.sha256(content).hexdigest()


def _read_into(local: LocalFile, digest: "hashlib._Hash", size: int) -> bytes:
    content = local.read(size)
    digest.update(content)
    return content
