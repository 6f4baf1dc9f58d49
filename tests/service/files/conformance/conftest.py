"""One driver for each of Azure's clients, connected to the service."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from azure.storage.file import FileService

from .drivers import Driver, LegacyDriver, ShareDriver, release_in

# Folders that `pip install --no-deps -t FOLDER azure-storage-file-share==VERSION` made, separated
# by the system's path separator; releases up to 12.10 want `six` there too.
RELEASES = "BATCHAI_RECIPES_TEST_FILE_SHARE_RELEASES"

_load = cache(release_in)


def _older_releases() -> list[object]:
    folders = [Path(part) for part in os.environ.get(RELEASES, "").split(os.pathsep) if part]
    if not folders:
        reason = f"NOT TESTED with releases of 2020 and 2023: set {RELEASES} to their folders"
        return [pytest.param(None, id="older releases", marks=pytest.mark.skip(reason=reason))]
    return [
        pytest.param((kind, folder), id=f"{folder.name} {kind}")
        for folder in folders
        for kind in ("sync", "aio")
    ]


MODERN = [
    pytest.param(("sync", None), id="azure-storage-file-share sync"),
    pytest.param(("aio", None), id="azure-storage-file-share aio"),
]
LEGACY = pytest.param(("legacy", None), id="azure-storage-file 2.1")


def _share_driver(kind: str, folder: Path | None, connection_string: str) -> ShareDriver:
    sync, aio = _load(folder)
    module: ModuleType = aio if kind == "aio" else sync
    return ShareDriver(module, sync, connection_string)


@pytest.fixture(params=[LEGACY, *MODERN, *_older_releases()])
def driver(request, server) -> Iterator[Driver]:
    """Each client in turn."""
    kind, folder = request.param
    if kind == "legacy":
        service = FileService(connection_string=server.connection_string)
        yield LegacyDriver(service)
        service.request_session.close()
        return
    modern = _share_driver(kind, folder, server.connection_string)
    yield modern
    modern.close()


@pytest.fixture(params=MODERN)
def modern(request, server) -> Iterator[ShareDriver]:
    """The newest client, sync and aio, for what the others cannot do."""
    driver = _share_driver(*request.param, server.connection_string)
    yield driver
    driver.close()
