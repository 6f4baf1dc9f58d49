"""Fetching a file of the web, for coroutines."""

import asyncio
import hashlib
from http import HTTPStatus
from pathlib import Path
from typing import IO

import aiohttp
from attrs import evolve

from batchai_recipes.aio.fiber import in_thread, wait_for
from batchai_recipes.staging.web_file import (
    FETCH_BLOCK_BYTES,
    FETCH_HEADERS,
    FETCH_TIMEOUT_SECONDS,
    NotFetchedError,
    WebAnswer,
    told_length,
)


def fetch(url: str, target: Path) -> WebAnswer:
    """Write what is at an address to a file, as :func:`batchai_recipes.staging.web_file.fetch`.

    Args:
        url: The address.
        target: The file.

    Raises:
        NotFetchedError: There was no answer, or no whole one.
        OSError: The file cannot be written.
    """
    return wait_for(lambda: _fetched(url, target))


async def _fetched(url: str, target: Path) -> WebAnswer:
    seconds = FETCH_TIMEOUT_SECONDS
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds)
    try:
        async with (
            # Proxies of the environment are used, as requests does.
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.get(url, headers=FETCH_HEADERS) as response,
        ):
            length = told_length(response.headers.get("Content-Length"))
            answer = WebAnswer(response.status, response.reason or "", length)
            if answer.status != HTTPStatus.OK:
                return answer
            with await in_thread(target.open, "wb") as out:
                return evolve(answer, sha256=await _written(response, out))
    except (aiohttp.ClientError, asyncio.TimeoutError) as error:
        # The message may have the address with its query.
        raise NotFetchedError(type(error).__name__) from error


async def _written(response: aiohttp.ClientResponse, out: IO[bytes]) -> str:
    digest = hashlib.sha256()
    async for chunk in response.content.iter_chunked(FETCH_BLOCK_BYTES):
        digest.update(chunk)
        await in_thread(out.write, chunk)
    return digest.hexdigest()
