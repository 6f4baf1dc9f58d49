"""A file that a job wrote, open for coroutines."""

import asyncio
import io
from types import TracebackType
from typing import AnyStr, Generic, cast

from typing_extensions import Self

from batchai_recipes.aio.fiber import run


class OpenOutput(Generic[AnyStr]):
    r"""A file object of :meth:`JobOutput.open`, whose methods are coroutines.

    It is what :meth:`batchai_recipes.JobOutput.open` opens: buffered, seekable, asking for what is
    read of it alone. Several tasks may use it; each call is whole.

    Args:
        file: The synchronous file object.

    Raises:
        RequestError: From all methods that read: the service did not answer, or the file is gone or
            was written anew.
        ValueError: From all methods: the file is closed.

    Example:
        >>> import asyncio
        >>> from batchai_recipes.aio import OpenOutput
        >>> async def main():
        ...     async with OpenOutput(io.StringIO("one\ntwo\n")) as file:
        ...         return [line async for line in file]
        >>> asyncio.run(main())
        ['one\n', 'two\n']
    """

    def __init__(self, file: "io.BufferedReader | io.TextIOBase") -> None:
        self._file = file
        self._turn = asyncio.Lock()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._file.closed

    async def read(self, size: int = -1) -> AnyStr:
        """Read what follows.

        Args:
            size: How many bytes or characters at most; -1 for all.

        Returns:
            It; empty at the file's end.
        """
        async with self._turn:
            return cast(AnyStr, await run(self._file.read, size))

    async def readline(self) -> AnyStr:
        """Read a line with its end; empty at the file's end."""
        async with self._turn:
            return cast(AnyStr, await run(self._file.readline))

    async def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to another place.

        Args:
            offset: How far.
            whence: From where: ``io.SEEK_SET``, ``io.SEEK_CUR`` or ``io.SEEK_END``.

        Returns:
            The new place.
        """
        async with self._turn:
            return await run(self._file.seek, offset, whence)

    async def tell(self) -> int:
        """Return the present place."""
        async with self._turn:
            return await run(self._file.tell)

    async def close(self) -> None:
        """Close it; without effect the second time."""
        async with self._turn:
            await run(self._file.close)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AnyStr:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
