"""The output directories of a job: listing, reading and downloading them."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from batchai_recipes.connection import Connection
from batchai_recipes.errors import ConfigurationError, RequestError
from batchai_recipes.refusals import explained
from batchai_recipes.runs.download import Downloads, Source
from batchai_recipes.runs.job_place import JobPlace
from batchai_recipes.staging.connections import MAX_CONNECTIONS, checked_connections
from batchai_recipes.staging.progress import progress

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import File

_LINK_MINUTES: Final = 60
_OK: Final = 200
_PARTIAL: Final = 206
_NOT_SATISFIABLE: Final = 416
_GONE: Final = frozenset({403, 404})


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

    def __init__(self, connection: Connection, place: JobPlace, id: str) -> None:  # noqa: A002
        # `id` is the API's own word.
        self._connection = connection
        self._place = place
        self.id = id

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
        root = Path(destination)
        _make_folder(root)
        entries = list(self._walk(""))
        files = [entry for entry in entries if isinstance(entry, OutputFile)]
        for directory in (entry for entry in entries if isinstance(entry, str)):
            _make_folder(root.joinpath(*PurePosixPath(directory).parts))
        with progress("Downloading", sum(file.size for file in files)) as advance:
            owner = f"job {self._place.job}"
            downloads = Downloads(self._connection.downloads, owner, advance, max_connections)
            pool = ThreadPoolExecutor(max_connections, thread_name_prefix="batchai-download")

            def fetch(file: OutputFile) -> Path:
                target = root.joinpath(*PurePosixPath(file.path).parts)
                downloads.fetch(Source(file.path, file.url, file.size), target)
                return target

            try:
                return list(pool.map(fetch, files))
            finally:
                downloads.close()
                pool.shutdown(cancel_futures=True)

    def read(self, url: str, start: int) -> bytes | None:
        """Read what a file holds from a byte on.

        Args:
            url: The file's download link.
            start: The first byte, from 0.

        Returns:
            The bytes, empty when the file ends before them; None when the link is no longer good.

        Raises:
            RequestError: The service did not answer.
        """
        from azure.core.rest import HttpRequest  # noqa: PLC0415 - loaded on first use

        request = HttpRequest("GET", url, headers={"Range": f"bytes={start}-"})
        with explained(f"read the output of job {self._place.job}"):
            # Streamed, since the client would try to decode what it reads by itself.
            response = self._connection.downloads.send_request(request, stream=True)
            try:
                content = bytes(response.read())
            finally:
                response.close()
        if response.status_code == _PARTIAL:
            return content
        if response.status_code == _OK:
            return content[start:]
        if response.status_code == _NOT_SATISFIABLE:
            return b""
        if response.status_code in _GONE:
            return None
        raise RequestError(
            f"Failed to read the output of job {self._place.job}: status {response.status_code}"
        )

    def _walk(self, directory: str) -> Iterator[OutputFile | str]:
        """Yield the files and, as text, the paths of the directories."""
        for entry in self._list(directory):
            name = str(entry.name)
            # Names come from whatever the job made; none may lead out of the destination.
            if "/" in name or "\0" in name or name in {"", ".", ".."}:
                raise RequestError(f"Job {self._place.job} has an output file named {name!r}")
            path = f"{directory}/{name}" if directory else name
            if getattr(entry.file_type, "value", entry.file_type) == "directory":
                yield path
                yield from self._walk(path)
            else:
                yield OutputFile(
                    path,
                    int(entry.content_length or 0),
                    str(entry.download_url),
                    entry.last_modified,
                )

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
    except OSError as error:
        raise ConfigurationError(
            f"Cannot download to {folder}: {error.strerror}; name a folder"
        ) from error


def read_tail(output: JobOutput, names: Sequence[str], length: int) -> str:
    """Read the end of a log.

    Args:
        output: The directory that the log is in.
        names: The names that the log may have.
        length: How much to read at most, in bytes.

    Returns:
        The text, empty when there is no such file; characters cut at its start are dropped.

    Raises:
        RequestError: The service did not answer.
    """
    for file in output.files():
        if file.path in names:
            start = max(0, file.size - length)
            text = (output.read(file.url, start) or b"").decode(errors="replace")
            return text.lstrip("\ufffd") if start else text
    return ""
