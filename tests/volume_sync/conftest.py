"""Other endpoints to copy from and to: a second service's file shares, and Azurite's containers."""

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import frozen
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContainerClient
from azure.storage.fileshare import ShareClient

from batchai_recipes.service.launcher import LocalService
from batchai_recipes.volume_sync.request import VolumeRequest

AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


class ShareEnd:
    """A share, as someone else who uses it sees it."""

    kind = "files"

    def __init__(self, endpoint: str, account: str, key: str) -> None:
        self.endpoint, self.account, self.key = endpoint, account, key
        self.name = f"share-{uuid.uuid4().hex}"
        credential = {"account_name": account, "account_key": key}
        self.client = ShareClient(endpoint, self.name, credential=credential)
        self.client.create_share()

    def put(self, path: str, content: bytes) -> None:
        """Write a file, and the directories above it."""
        parts = path.split("/")
        for depth in range(1, len(parts)):
            self.make_directory("/".join(parts[:depth]))
        self.client.get_file_client(path).upload_file(content)

    def make_directory(self, path: str) -> None:
        """Make a directory, if it is missing."""
        directory = self.client.get_directory_client(path)
        if not directory.exists():
            directory.create_directory()

    def get(self, path: str) -> bytes | None:
        """Read a file."""
        try:
            return self.client.get_file_client(path).download_file().readall()
        except ResourceNotFoundError:
            return None

    def delete(self, path: str) -> None:
        """Delete a file."""
        self.client.get_file_client(path).delete_file()

    def names(self, directory: str = "") -> set[str]:
        """Return every path, those of directories with a closing slash."""
        found = set()
        for entry in self.client.get_directory_client(directory).list_directories_and_files():
            path = f"{directory}/{entry.name}" if directory else entry.name
            if entry.is_directory:
                found |= {f"{path}/", *self.names(path)}
            else:
                found.add(path)
        return found


class ContainerEnd:
    """A container, as someone else who uses it sees it."""

    kind = "blobs"

    def __init__(self, endpoint: str, account: str, key: str) -> None:
        self.endpoint, self.account, self.key = endpoint, account, key
        self.name = f"container-{uuid.uuid4().hex}"
        credential = {"account_name": account, "account_key": key}
        self.client = ContainerClient(endpoint, self.name, credential=credential)
        self.client.create_container()

    def put(self, path: str, content: bytes) -> None:
        """Write a blob."""
        self.client.upload_blob(path, content, overwrite=True)

    def make_directory(self, path: str) -> None:
        """Mark a directory as blobfuse does."""
        self.client.upload_blob(path, b"", metadata={"hdi_isfolder": "true"}, overwrite=True)

    def get(self, path: str) -> bytes | None:
        """Read a blob."""
        try:
            return self.client.download_blob(path).readall()
        except ResourceNotFoundError:
            return None

    def delete(self, path: str) -> None:
        """Delete a blob."""
        self.client.delete_blob(path)

    def names(self) -> set[str]:
        """Return every path, those of directories with a closing slash."""
        found = set()
        for blob in self.client.list_blobs(include=["metadata"]):
            found.add(f"{blob.name}/" if blob.metadata.get("hdi_isfolder") else blob.name)
            parts = blob.name.split("/")
            found |= {"/".join(parts[:depth]) + "/" for depth in range(1, len(parts))}
        return found


@frozen
class Endpoint:
    """Where an account is served."""

    url: str
    account: str
    key: str


@pytest.fixture(scope="session")
def files_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The file shares of a service that runs for all tests."""
    service = LocalService(tmp_path_factory.mktemp("other-service"))
    address = service.address
    yield Endpoint(address.files_endpoint, address.account_name, address.account_key)
    service.close()


@pytest.fixture(scope="session")
def blobs_endpoint() -> Iterator[Endpoint]:
    """The containers of an Azurite that runs for all tests."""
    program = os.environ.get("BATCHAI_AZURITE")
    if not program:
        pytest.skip("BATCHAI_AZURITE names no azurite-blob to test blob containers with")
    options = ("--blobPort", "0", "--inMemoryPersistence", "--disableTelemetry")
    with subprocess.Popen(
        [program, *options, "--skipApiVersionCheck"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = next(line.split()[-1] for line in process.stdout if "successfully" in line)
        yield Endpoint(f"{url}/devstoreaccount1", "devstoreaccount1", AZURITE_KEY)
        process.terminate()


@pytest.fixture(params=["files", "blobs"])
def end(request: pytest.FixtureRequest) -> ShareEnd | ContainerEnd:
    """A new share, then a new container."""
    endpoint: Endpoint = request.getfixturevalue(f"{request.param}_endpoint")
    made = ShareEnd if request.param == "files" else ContainerEnd
    return made(endpoint.url, endpoint.account, endpoint.key)


@pytest.fixture
def share(files_endpoint: Endpoint) -> ShareEnd:
    """A new share."""
    return ShareEnd(files_endpoint.url, files_endpoint.account, files_endpoint.key)


@pytest.fixture
def container(blobs_endpoint: Endpoint) -> ContainerEnd:
    """A new container."""
    return ContainerEnd(blobs_endpoint.url, blobs_endpoint.account, blobs_endpoint.key)


@pytest.fixture
def volume_of(tmp_path: Path) -> Callable[..., VolumeRequest]:
    """Describe a volume to copy into a folder of this test: ``volume_of(end, copy="one")``."""

    def make(end: ShareEnd | ContainerEnd, copy: str = "copy", **changes: object) -> VolumeRequest:
        folder = tmp_path / copy
        (folder / "data").mkdir(parents=True, exist_ok=True)
        settings = {
            "kind": end.kind,
            "title": "afs",
            "account": end.account,
            "endpoint": end.endpoint,
            "name": end.name,
            "key": end.key,
            "folder": folder,
            **changes,
        }
        return VolumeRequest(**settings)

    return make
