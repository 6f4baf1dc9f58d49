"""The output directories of a job: listing, reading and downloading them."""

import io
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Literal, overload

from attrs import field, frozen

from batchai_recipes.concurrency import concurrency_of
from batchai_recipes.connection import Connection
from batchai_recipes.errors import ConfigurationError, RequestError
from batchai_recipes.names import checked_relative_path, nearest
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.runs.download import Downloads, Source
from batchai_recipes.runs.job_place import JobPlace
from batchai_recipes.runs.output_reader import BUFFER_BYTES, OutputReader
from batchai_recipes.runs.range_reader import PIECE_BYTES, RangeReader
from batchai_recipes.staging.connections import MAX_CONNECTIONS, checked_connections
from batchai_recipes.staging.progress import progress
from batchai_recipes.tracing import span

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import File

_LINK_MINUTES: Final = 60


@frozen
class OutputFile:
    """A file that a job wrote.

    Args:
        path: Its path in the output directory.
        size: Its size in bytes when it was listed.
        url: A link that downloads it without further credentials, good for an hour; not shown.
        last_modified: When it was last written.

    Example:
        >>> OutputFile("model.onnx", 1024, "https://files.example.org/demo/model.onnx?sig=hidden")
        OutputFile(path='model.onnx', size=1024, last_modified=None)
    """

    path: str
    size: int
    url: str = field(repr=False)
    last_modified: datetime | None = None


class JobOutput:
    """One output directory of a job; :meth:`JobRun.outputs` makes it.

    Args:
        connection: Where the job is.
        place: The names that lead to it.
        id: The directory's id, or ``stdouterr``.
        pacing: Its clock lets time pass before a request is sent again.

    Raises:
        RequestError: From all methods: the job has no such directory, or the service did not
            answer.

    Example:
        >>> import tempfile
        >>> from batchai_recipes import ClusterBuilder, CustomJobBuilder, TrainingSession
        >>> from batchai_recipes import FileShareStaging
        >>> staging = FileShareStaging("demo")
        >>> cluster = ClusterBuilder("mycluster").vm_size("STANDARD_NC6").mount(staging, at="share")
        >>> job = (
        ...     CustomJobBuilder("myjob")
        ...     .output("MODEL")
        ...     .command_line("echo weights >$AZ_BATCHAI_OUTPUT_MODEL/model.txt")
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with TrainingSession(cluster, staging=staging) as session:
        ...         run = session.submit(job).wait()
        ...         models = run.outputs("MODEL").download(folder)
        ...     print([model.name for model in models])
        ['model.txt']
    """

    def __init__(
        self,
        connection: Connection,
        place: JobPlace,
        id: str,  # noqa: A002 - the API's own word
        *,
        pacing: Pacing | None = None,
    ) -> None:
        self._connection = connection
        self._place = place
        self._pacing = pacing or Pacing()
        self.id = id
        self.reader = RangeReader(connection, f"job {place.job}", self._pacing)

    def files(self) -> list[OutputFile]:
        """List the files in the directory and in the folders below it.

        Raises:
            RequestError: The job has no such output directory, or the service did not answer.
        """
        return [entry for entry in self._walk("") if isinstance(entry, OutputFile)]

    def download(
        self, destination: str | os.PathLike[str], *, max_connections: int = MAX_CONNECTIONS
    ) -> list[Path]:
        """Download the directory with the folders below it, empty ones too.

        Several files, and the parts of large ones, come at a time; a dropped connection is taken up
        again. A file that was downloaded before and did not change since, on either side, is left
        alone. A hash that the file service holds for a file is checked.

        Args:
            destination: The local folder to put the files in; made when missing. Files of the same
                name in it are replaced, each only when its download is complete.
            max_connections: How many requests to the file service are under way at a time.

        Returns:
            The local files.

        Raises:
            RequestError: The service did not answer, or a file came incomplete or damaged.
            ConfigurationError: The destination is not a folder, or `max_connections` not from 1 to
                64.
            StagingError: A file cannot be written.
        """
        checked_connections(max_connections)
        with span("download outputs", job=self._place.job, output=self.id):
            return self._download(Path(destination), max_connections)

    def _download(self, root: Path, max_connections: int) -> list[Path]:
        _make_folder(root)
        entries = list(self._walk(""))
        files = [entry for entry in entries if isinstance(entry, OutputFile)]
        for directory in (entry for entry in entries if isinstance(entry, str)):
            _make_folder(root.joinpath(*PurePosixPath(directory).parts))
        with progress("Downloading", sum(file.size for file in files)) as advance:
            owner = f"job {self._place.job}"
            downloads = Downloads(self._connection, owner, advance, max_connections, self._pacing)
            concurrency = concurrency_of(self._connection)
            crew = concurrency.crew(max_connections, "batchai-download")

            def fetch(file: OutputFile) -> Path:
                target = root.joinpath(*PurePosixPath(file.path).parts)
                downloads.fetch(Source(file.path, file.url, file.size), target)
                return target

            try:
                return list(crew.map(fetch, files))
            finally:
                downloads.close()
                crew.close()

    @overload
    def open(self, path: str, mode: Literal["rb"] = "rb") -> io.BufferedReader: ...

    @overload
    def open(
        self, path: str, mode: Literal["r"], *, encoding: str = "utf-8"
    ) -> io.TextIOWrapper: ...

    def open(
        self, path: str, mode: Literal["rb", "r"] = "rb", *, encoding: str = "utf-8"
    ) -> io.BufferedReader | io.TextIOWrapper:
        """Open a file of the directory to read from it, without downloading it first.

        The file object is buffered and seekable, and asks for what is read of it alone; links that
        run out and connections that drop are renewed. It shows the file as long as it was when it
        was opened.

        Args:
            path: The file's path in the directory.
            mode: ``rb`` for bytes, ``r`` for text.
            encoding: The text's encoding, for the mode ``r``.

        Returns:
            The file object, to be closed, as by ``with``.

        Raises:
            ConfigurationError: The path or the mode is none.
            RequestError: There is no such file, or the service did not answer. Reading raises it
                also where the file was written anew meanwhile.
        """
        path = checked_relative_path("file of an output directory", path)
        if mode not in {"rb", "r"}:
            raise ConfigurationError(f"{mode!r} is no mode to open an output in: use 'rb' or 'r'")

        def link() -> tuple[str, int]:
            file = self.file(path)
            return file.url, file.size

        name = f"{path} of job {self._place.job}"
        stream: io.RawIOBase = OutputReader(self.reader, name, link)
        raw: io.BufferedReader = io.BufferedReader(stream, BUFFER_BYTES)
        return raw if mode == "rb" else io.TextIOWrapper(raw, encoding=encoding)

    def file(self, path: str) -> OutputFile:
        """Ask for one file.

        Args:
            path: Its path in the directory.

        Raises:
            RequestError: There is no such file; the message names the nearest. Or the service did
                not answer.
        """
        folder = str(PurePosixPath(path).parent)
        files = [file for file in self._entries(folder) if isinstance(file, OutputFile)]
        for file in files:
            if file.path == path:
                return file
        hint = nearest(path, [file.path for file in files])
        raise RequestError(
            f"Job {self._place.job} has no file {path!r} in its output directory {self.id!r}: "
            f"{hint}"
        )

    def read(self, url: str, start: int, length: int = PIECE_BYTES) -> bytes | None:
        """Read what a file holds from a byte on.

        Args:
            url: The file's download link.
            start: The first byte, from 0.
            length: How many bytes at most.

        Returns:
            The bytes, possibly fewer, empty when the file ends before them; None when the link is
            no longer good.

        Raises:
            RequestError: The service did not answer.
        """
        piece = self.reader.read(url, start, length)
        return None if piece is None else piece.content

    def __repr__(self) -> str:
        return f"JobOutput({self._place.job!r}, {self.id!r})"

    def _walk(self, directory: str) -> Iterator[OutputFile | str]:
        """Yield the files and, as text, the paths of the directories, with all below."""
        levels = [self._entries(directory)]  # of any depth
        while levels:
            entry = next(levels[-1], None)
            if entry is None:
                levels.pop()
                continue
            yield entry
            if isinstance(entry, str):
                levels.append(self._entries(entry))

    def _entries(self, directory: str) -> Iterator[OutputFile | str]:
        """Yield the files and, as text, the paths of the directories, of one directory."""
        for entry in self._list(directory):
            name = str(entry.name)
            # Names come from whatever the job made; none may lead out of the destination.
            if "/" in name or "\0" in name or name in {"", ".", ".."}:
                raise RequestError(f"Job {self._place.job} has an output file named {name!r}")
            path = name if directory in {"", "."} else f"{directory}/{name}"
            if getattr(entry.file_type, "value", entry.file_type) == "directory":
                yield path
            else:
                size, url = int(entry.content_length or 0), str(entry.download_url)
                yield OutputFile(path, size, url, entry.last_modified)

    def _list(self, directory: str) -> list["File"]:
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        options = models.JobsListOutputFilesOptions(
            outputdirectoryid=self.id,
            directory=directory or ".",
            linkexpiryinminutes=_LINK_MINUTES,
        )
        with explained(f"list the output directory {self.id!r} of job {self._place.job}"):
            pages = self._connection.batchai.jobs.list_output_files(*self._place.names, options)
            # The package's annotation names the page in place of the item.
            return list(pages)  # type: ignore[arg-type]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # no path has a null character
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"Cannot download to {folder}: {why}; name a folder") from error
