"""Following a log while a job writes it: every line once, in order, none cut."""

import codecs
from collections.abc import Callable, Iterator, Sequence

from batchai_recipes.pacing import Pacing
from batchai_recipes.runs.job_output import JobOutput


class LineSplitter:
    r"""Takes text apart into lines, wherever the chunks of bytes that carry it are cut.

    Example:
        >>> splitter = LineSplitter()
        >>> [*splitter.feed(b"one\ntw"), *splitter.feed(b"o\nthree"), *splitter.rest()]
        ['one', 'two', 'three']
    """

    def __init__(self) -> None:
        # Bytes that are not UTF-8 are shown as replacement characters; no line is lost to them.
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._pending = ""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the lines that are complete with this chunk, without their ends."""
        *lines, self._pending = (self._pending + self._decoder.decode(chunk)).split("\n")
        for line in lines:
            yield line.removesuffix("\r")

    def rest(self) -> Iterator[str]:
        """Yield the last line if it had no end."""
        last = (self._pending + self._decoder.decode(b"", final=True)).removesuffix("\r")
        self._pending = ""
        if last:
            yield last


def follow_lines(
    output: JobOutput, names: Sequence[str], *, ended: Callable[[], bool], pacing: Pacing
) -> Iterator[str]:
    """Yield the lines of a log as they are written, until the job has ended and all are out.

    Args:
        output: The directory that the log is in.
        names: The names that the log may have.
        ended: Asks whether the job has ended, and so will write no more.
        pacing: How often to look.

    Raises:
        RequestError: The service did not answer.
    """
    splitter = LineSplitter()
    position = 0
    url: str | None = None
    pauses = pacing.pauses()
    while True:
        # Asked before reading: what was written before the end is then read for certain.
        over = ended()
        url = url or _link(output, names)
        chunk = output.read(url, position) if url else b""
        if chunk is None:
            url = None  # the link ran out or the file is not there yet: ask for a new one
        elif chunk:
            position += len(chunk)
            yield from splitter.feed(chunk)
            pauses = pacing.pauses()
        if over and not chunk:
            yield from splitter.rest()
            return
        if not chunk:
            next(pauses)


def _link(output: JobOutput, names: Sequence[str]) -> str | None:
    return next((file.url for file in output.files() if file.path in names), None)
