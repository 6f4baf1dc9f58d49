"""Where requests for real Azure go, and as whom they are signed."""

import base64

import pytest
import responses

from batchai_recipes.volume_sync.azure_blobs import AzureBlobContainer
from batchai_recipes.volume_sync.azure_files import AzureFileShare
from batchai_recipes.volume_sync.request import VolumeRequest


@pytest.mark.parametrize(
    ("kind", "volume", "url"),
    [
        ("files", AzureFileShare, "https://demo.file.core.windows.net/data?restype=share"),
        ("blobs", AzureBlobContainer, "https://demo.blob.core.windows.net/data?restype=container"),
        ("files", AzureFileShare, "http://127.0.0.1:1234/demo/data?restype=share"),
        ("blobs", AzureBlobContainer, "http://127.0.0.1:1234/demo/data?restype=container"),
    ],
)
@responses.activate
def test_requests_go_to_the_account_and_are_signed_by_it(tmp_path, kind, volume, url):
    """In the host's name or in the path."""
    responses.get(url, headers={"ETag": '"0x1"', "Last-Modified": "Wed, 06 Jun 2018 20:00:00 GMT"})
    key = base64.b64encode(b"key").decode()
    endpoint = url.partition("/data?")[0]
    volume(VolumeRequest(kind, "afs", "demo", endpoint, "data", key, tmp_path)).check()
    (call,) = responses.calls
    assert call.request.headers["Authorization"].startswith("SharedKey demo:")
