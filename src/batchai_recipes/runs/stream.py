"""Following logs while a job writes them: every line once, those of a log in order, none cut."""

import codecs
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from batchai_recipes.errors import RequestError
from batchai_recipes.outage import Outage
from batchai_recipes.pacing import Pacing
from batchai_recipes.runs.log_names import LogNames
from batchai_recipes.runs.range_reader import PIECE_BYTES, RangeReader

if TYPE_CHECKING:
    from batchai_recipes.runs.job_output import JobOutput

# So many new links in a row that are refused are no coincidence.
_MOST_REFUSALS: Final = 5


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
        self._pending: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the lines that are complete with this chunk, without their ends."""
        first, *others = self._decoder.decode(chunk).split("\n")
        self._pending.append(first)  # joined once: a line may come in very many chunks
        for following in others:
            line, self._pending = "".join(self._pending), [following]
            yield line.removesuffix("\r")

    def rest(self) -> Iterator[str]:
        """Yield the last line if it had no end, and begin anew."""
        last = "".join([*self._pending, self._decoder.decode(b"", final=True)]).removesuffix("\r")
        self._pending = []
        self._decoder.reset()
        if last:
            yield last


class FollowedLog:
    """One log on its way: up to which byte it came, and the line that is not complete yet.

    Args:
        name: Its path in the output directory.
        url: Its link.
    """

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url: str | None = url
        self.moved = False
        self.refused = False
        self._position = 0
        self._refusals = 0
        self._splitter = LineSplitter()

    def lines(self, reader: RangeReader) -> list[str]:
        """Return the lines that became complete.

        `moved` tells whether anything came, `refused` whether the link was no longer good.
        """
        self.moved = self.refused = False
        if self.url is None:
            return []
        piece = reader.read(self.url, self._position, PIECE_BYTES)
        if piece is None:
            self.url = None  # it ran out: ask for a new one
            self.refused = True
            self._refusals += 1
            return []
        self._refusals = 0
        if piece.content:
            self.moved = True
            self._position += len(piece.content)
            return list(self._splitter.feed(piece.content))
        if piece.size is not None and piece.size < self._position:
            # The log was begun anew, as by a job that writes it itself and was started again.
            self.moved = True
            self._position = 0
            return list(self._splitter.rest())
        return []

    def renew(self, url: str | None, job: str) -> None:
        """Take a new link in the place of one that was refused.

        Args:
            url: The new link; None where the file is not listed any more.
            job: The job's name, for messages.

        Raises:
            RequestError: Links to the file are refused again and again.
        """
        if self.url is not None:
            return
        self.url = url
        if url is None or self._refusals < _MOST_REFUSALS:
            return
        raise RequestError(
            f"Failed to read {self.name} of job {job}: the file service refuses each new link to "
            f"it; check this machine's clock and that the file share is still there"
        )

    def rest(self) -> Iterator[str]:
        """Yield the last line if it had no end."""
        return self._splitter.rest()


class LogFollower:
    """Follows logs of a job until it has ended and all is out.

    Args:
        output: The directory that the logs are in.
        logs: Which of them.
        job: The job's name.
        ended: Asks whether the job has ended, and so will write no more.
        pacing: How often to look.
        outage: Waits where the service does not answer.
    """

    def __init__(
        self,
        output: "JobOutput",
        logs: LogNames,
        job: str,
        *,
        ended: Callable[[], bool],
        pacing: Pacing,
        outage: Outage,
    ) -> None:
        self._through = outage.through
        self._output = output
        self._logs = logs
        self._job = job
        self._ended = ended
        self._pacing = pacing
        self._followed: dict[str, FollowedLog] = {}

    @property
    def missing(self) -> list[str]:
        """The names that no file has had so far."""
        return self._logs.missing(self._followed)

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield the name of a log and a line of it, as they are written.

        Raises:
            RequestError: The service did not answer.
        """
        pauses = self._pacing.pauses()
        while True:
            # Asked before reading: what was written before the end is then read for certain.
            over = self._through(self._ended)
            self._through(self._find)
            for log in self._followed.values():
                lines = self._through(partial(log.lines, self._output.reader))
                yield from ((log.name, line) for line in lines)
            logs = self._followed.values()
            if any(log.moved for log in logs):
                pauses = self._pacing.pauses()
            elif over and not any(log.refused for log in logs):
                break
            else:
                next(pauses)
        for log in self._followed.values():
            yield from ((log.name, line) for line in log.rest())

    def _find(self) -> None:
        """Look for logs that are new, and for new links in the place of those that ran out."""
        cut_off = [log for log in self._followed.values() if log.url is None]
        if self._logs.complete(self._followed) and not cut_off:
            return
        links: Mapping[str, str] = {file.path: file.url for file in self._output.files()}
        for log in cut_off:
            log.renew(links.get(log.name), self._job)
        if not self._logs.complete(self._followed):
            for name in self._logs.among(links):
                if name not in self._followed:
                    self._followed[name] = FollowedLog(name, links[name])
