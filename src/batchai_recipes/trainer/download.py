"""Fetching a published file: from the first mirror that has it, resumed, and checked."""

import fcntl
import hashlib
import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import requests
from attrs import frozen

from batchai_recipes.trainer.errors import DataError, DataUnavailableError

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the name of a file, how many bytes of it are here, and how many there will be."""

_PIECE_BYTES = 1 << 16


@frozen
class PublishedFile:
    """A file that mirrors offer and that never changes.

    Args:
        name: Its name, which follows the address of a mirror.
        size: Its size in bytes.
        sha256: Its checksum in hexadecimal digits.
    """

    name: str
    size: int
    sha256: str

    def is_at(self, path: Path) -> bool:
        """Tell whether a file on disk is this one, byte for byte."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        return hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


class _MirrorError(Exception):
    """One mirror did not give the file."""


def download(
    file: PublishedFile,
    folder: Path,
    *,
    mirrors: Sequence[str],
    progress: Progress | None = None,
    timeout_s: float,
) -> Path:
    """Return the path of a file in a folder, fetched first where it is missing or damaged.

    What an interrupted download left is continued. Two processes do not fetch at the same time:
    the second waits, and finds the file.

    Args:
        file: The file.
        folder: Where it goes; made when missing.
        mirrors: Addresses, each ending in a slash, tried in this order.
        progress: Told how far the download is.
        timeout_s: For how many seconds a mirror may be silent.

    Returns:
        The path of the file.

    Raises:
        DataUnavailableError: No mirror gave the file; says why, for each.
        DataError: The folder cannot be written.
    """
    path = folder / file.name
    failures = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / ".lock"):
            if file.is_at(path):
                return path
            part = _Part(file, path.with_name(f"{path.name}.part"), progress, timeout_s)
            for mirror in mirrors:
                try:
                    part.complete(mirror + file.name)
                except _MirrorError as error:  # noqa: PERF203 -- there are two mirrors
                    failures.append(f"\n  {_without_credentials(mirror)}: {error}")
                else:
                    part.path.replace(path)
                    return path
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}") from error
    raise DataUnavailableError(f"{file.name} could not be downloaded:{''.join(failures)}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@frozen
class _Part:
    """As much of a file as is here."""

    file: PublishedFile
    path: Path
    progress: Progress | None
    timeout_s: float

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def complete(self, url: str) -> None:
        """Fetch what is missing.

        Raises:
            _MirrorError: The mirror gave nothing, not all, or something else.
            OSError: The part cannot be written.
        """
        for _ in range(2):
            resumed = self.size > 0
            if self.size < self.file.size:
                self._fetch_rest(url)
            if self.file.is_at(self.path):
                return
            self.path.unlink()
            if not resumed:
                break
            # What was resumed may have been damaged before: once more, from the start.
        raise _MirrorError("gave another file (its SHA-256 is not the published one)")

    def _fetch_rest(self, url: str) -> None:
        # Not compressed once more on the way: ranges and sizes are those of the file itself.
        headers = {"Accept-Encoding": "identity"}
        if self.size:
            headers["Range"] = f"bytes={self.size}-"
        try:
            with _answer(url, headers, self.timeout_s) as response:
                self._store(response)
        except requests.RequestException as error:
            raise _MirrorError(_reason(error)) from error
        if self.size < self.file.size:
            raise _MirrorError(f"stopped after {self.size} of {self.file.size} bytes")

    def _store(self, response: requests.Response) -> None:
        done = self.size
        if response.status_code == requests.codes.ok:
            done = 0
        elif response.status_code != requests.codes.partial_content:
            raise _MirrorError(f"answers {response.status_code} {response.reason}")
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            raise _MirrorError("answers with another part of the file than asked for")
        with self.path.open("ab" if done else "wb") as out:
            for piece in response.iter_content(_PIECE_BYTES):
                out.write(piece)
                done += len(piece)
                if done > self.file.size:
                    return
                if self.progress is not None:
                    self.progress(self.file.name, done, self.file.size)


def _answer(url: str, headers: dict[str, str], timeout_s: float) -> requests.Response:
    """Ask for a file and return the beginning of the answer.

    The time-out of requests holds for each address of a host anew and not for finding them; a
    network that swallows packets would delay the failure by a minute. So it is asked by a thread
    that is not waited for longer than twice that time.

    Raises:
        requests.RequestException: There is no answer.
    """
    answers: queue.SimpleQueue[requests.Response | requests.RequestException] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(requests.get(url, headers=headers, stream=True, timeout=timeout_s))
        except requests.RequestException as error:
            answers.put(error)

    threading.Thread(target=ask, name="download", daemon=True).start()
    try:
        answer = answers.get(timeout=2 * timeout_s)
    except queue.Empty:
        raise requests.Timeout(f"no answer within {2 * timeout_s:g} s") from None
    if isinstance(answer, requests.RequestException):
        raise answer
    return answer


def _reason(error: requests.RequestException) -> str:
    """Return why there is no answer, without the layers of classes around it."""
    cause = error.args[0] if error.args else error
    text = str(getattr(cause, "reason", None) or cause)
    return re.sub(r"^(<.*? object at 0x\w+>|HTTPS?Connection\(.*?\)): ", "", text)


def _without_credentials(mirror: str) -> str:
    parts = urlsplit(mirror)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
