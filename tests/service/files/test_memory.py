"""The memory of the service while large files go up and come down."""

import http.client
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.storage.file import FileService
from azure.storage.file.models import FilePermissions

from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.launcher import LocalService

MIB = 2**20
# CI sends three times what the service may use; name another size by hand.
SIZE = int(float(os.environ.get("BATCHAI_RECIPES_TEST_LARGE_FILE_GIB", "0.5")) * 2**30)
LIMIT = 150 * MIB
CONNECTIONS = 8


@pytest.fixture
def address(tmp_path: Path) -> Iterator[ServiceAddress]:
    """Where a whole service listens."""
    with closing(LocalService(tmp_path / "state")) as service:
        yield service.address


def peak(pid: int) -> int:
    """Return the most memory that a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024


def download(host: str, target: str, part: range, block: bytes) -> None:
    """Download a part of a file and check that it is one block over and over."""
    connection = http.client.HTTPConnection(host, timeout=60)
    headers = {"Range": f"bytes={part.start}-{part.stop - 1}", "x-ms-version": "2019-02-02"}
    connection.request("GET", target, headers=headers)
    response = connection.getresponse()
    for _ in range(part.start, part.stop, len(block)):
        assert response.read(len(block)) == block
    assert response.read() == b""
    connection.close()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(address):
    """Real bytes, by several connections at a time, up and down."""
    files = FileService(
        connection_string=f"AccountName={address.account_name};AccountKey={address.account_key};"
        f"DefaultEndpointsProtocol=http;FileEndpoint={address.files_endpoint};"
    )
    block = os.urandom(4 * MIB)
    files.create_share("large")
    files.create_file("large", None, "f", SIZE)
    token = files.generate_file_shared_access_signature(
        "large",
        None,
        "f",
        permission=FilePermissions.READ,
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    url = urlsplit(f"{address.files_endpoint}/large/f?{token}")
    step = SIZE // CONNECTIONS

    def up(start: int) -> None:
        files.update_range("large", None, "f", block, start, start + len(block) - 1)

    def down(start: int) -> None:
        download(url.netloc, f"{url.path}?{url.query}", range(start, start + step), block)

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(up, range(0, SIZE, len(block))))
        list(threads.map(down, range(0, SIZE, step)))
    files.delete_share("large")
    files.request_session.close()

    assert peak(address.pid) < LIMIT
