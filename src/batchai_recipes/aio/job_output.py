"""JobOutput, for coroutines."""

import os
from pathlib import Path

from batchai_recipes.aio.worker import in_thread
from batchai_recipes.runs.job_output import JobOutput as Synchronous
from batchai_recipes.runs.job_output import OutputFile
from batchai_recipes.staging.connections import MAX_CONNECTIONS


class JobOutput:
    """One output directory of a job; :meth:`JobRun.outputs` makes it.

    Its methods are those of :class:`batchai_recipes.JobOutput`, run in a thread each.

    Args:
        output: The directory.

    Raises:
        RequestError: From all methods: the job has no such directory, or the service did not
            answer.
    """

    def __init__(self, output: Synchronous) -> None:
        self._output = output

    @property
    def id(self) -> str:
        """The directory's id, or ``stdouterr``."""
        return self._output.id

    async def files(self) -> list[OutputFile]:
        """List the files in the directory and in the folders below it."""
        return await in_thread(self._output.files)

    async def file(self, path: str) -> OutputFile:
        """Return one file of the directory.

        Args:
            path: Its path in the directory.
        """
        return await in_thread(self._output.file, path)

    async def download(
        self, destination: str | os.PathLike[str], *, max_connections: int = MAX_CONNECTIONS
    ) -> list[Path]:
        """Download the directory; see :meth:`batchai_recipes.JobOutput.download`.

        Args:
            destination: The local folder to put the files in; made when missing.
            max_connections: How many requests to the file service are under way at a time.

        Returns:
            The local files.
        """
        return await in_thread(self._output.download, destination, max_connections=max_connections)

    async def read(self, url: str, start: int, length: int | None = None) -> bytes | None:
        """Read a part of a file.

        Args:
            url: The file's download link.
            start: The first byte, from 0.
            length: How many bytes at most; None for a piece of the library's own size.

        Returns:
            The bytes, empty when the file ends before them; None when the link is no longer good.
        """
        if length is None:
            return await in_thread(self._output.read, url, start)
        return await in_thread(self._output.read, url, start, length)

    def __repr__(self) -> str:
        return f"aio.{self._output!r}"
