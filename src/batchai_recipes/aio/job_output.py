"""JobOutput, for coroutines."""

import os
from pathlib import Path
from typing import Any, Literal, overload

from batchai_recipes.aio.bridged_connection import paced
from batchai_recipes.aio.connection import Connection
from batchai_recipes.aio.fiber import run
from batchai_recipes.aio.open_output import OpenOutput
from batchai_recipes.pacing import Pacing
from batchai_recipes.runs.job_output import JobOutput as Synchronous
from batchai_recipes.runs.job_output import OutputFile
from batchai_recipes.runs.job_place import JobPlace
from batchai_recipes.runs.range_reader import PIECE_BYTES
from batchai_recipes.staging.connections import MAX_CONNECTIONS


class JobOutput:
    r"""One output directory of a job; :meth:`JobRun.outputs` makes it.

    Its methods do and raise what those of :class:`batchai_recipes.JobOutput` do and raise, and take
    the same. Files are written to the disk, and hashed, in threads.

    Args:
        connection: Where the job is.
        place: The names that lead to it.
        id: The directory's id, or ``stdouterr``.
        pacing: Its clock lets time pass before a request is sent again.

    Raises:
        RequestError: From all methods: the job has no such directory, or the service did not
            answer.

    Example:
        >>> import asyncio, tempfile
        >>> from batchai_recipes import ClusterBuilder, CustomJobBuilder, FileShareStaging
        >>> from batchai_recipes.aio import Connection, TrainingSession
        >>> share = FileShareStaging("demo")
        >>> cluster = ClusterBuilder("mycluster").vm_size("STANDARD_NC6").mount(share, at="share")
        >>> job = CustomJobBuilder("j").output("MODEL")
        >>> job = job.command_line("echo weights >$AZ_BATCHAI_OUTPUT_MODEL/model.txt")
        >>> async def main(folder):
        ...     async with Connection.embedded(folder / "state") as connection:
        ...         session = TrainingSession(cluster, staging=share, connection=connection)
        ...         async with session:
        ...             run = await (await session.submit(job)).wait()
        ...             models = await run.outputs("MODEL").download(folder / "models")
        ...             async with await run.outputs("MODEL").open("model.txt", "r") as file:
        ...                 return [model.name for model in models], await file.read()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(Path(folder)))
        (['model.txt'], 'weights\n')
    """

    def __init__(
        self,
        connection: Connection,
        place: JobPlace,
        id: str,  # noqa: A002 - the API's own word
        *,
        pacing: Pacing | None = None,
    ) -> None:
        self._output = Synchronous(connection._bridged, place, id, pacing=paced(pacing))

    @property
    def id(self) -> str:
        """The directory's id, or ``stdouterr``."""
        return self._output.id

    async def files(self) -> list[OutputFile]:
        """List the files in the directory and in the folders below it."""
        return await run(self._output.files)

    async def file(self, path: str) -> OutputFile:
        """Ask for one file."""
        return await run(self._output.file, path)

    async def download(
        self, destination: str | os.PathLike[str], *, max_connections: int = MAX_CONNECTIONS
    ) -> list[Path]:
        """Download the directory with the folders below it, and return the local files."""
        return await run(self._output.download, destination, max_connections=max_connections)

    @overload
    async def open(self, path: str, mode: Literal["rb"] = "rb") -> OpenOutput[bytes]: ...

    @overload
    async def open(
        self, path: str, mode: Literal["r"], *, encoding: str = "utf-8"
    ) -> OpenOutput[str]: ...

    async def open(
        self, path: str, mode: Literal["rb", "r"] = "rb", *, encoding: str = "utf-8"
    ) -> OpenOutput[bytes] | OpenOutput[str]:
        """Open a file of the directory: ``async with await output.open(path) as file:``."""
        opening: Any = self._output.open
        return OpenOutput(await run(opening, path, mode, encoding=encoding))

    async def read(self, url: str, start: int, length: int = PIECE_BYTES) -> bytes | None:
        """Read what a file holds from a byte on."""
        return await run(self._output.read, url, start, length)

    def __repr__(self) -> str:
        return f"aio.{self._output!r}"

    @classmethod
    def _of(cls, output: Synchronous) -> "JobOutput":
        own = cls.__new__(cls)
        own._output = output
        return own
