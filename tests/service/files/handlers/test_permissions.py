"""Security descriptors are kept with their share and given back."""

import json

import pytest

SDDL = "O:S-1-5-21-1G:S-1-5-21-2D:AI(A;;FA;;;SY)"


def put(server, share, body):
    """Create a permission and return its key."""
    reply = server.signed("PUT", f"/{share}?restype=share&comp=filepermission", {}, body)
    assert reply.status == 201
    return reply.headers["x-ms-file-permission-key"]


def get(server, share, key):
    """Ask for the permission of a key."""
    headers = {"x-ms-file-permission-key": key}
    return server.signed("GET", f"/{share}?restype=share&comp=filepermission", headers)


def test_a_permission_comes_back(server, share):
    """By a key that is the same for the same text, in the form of each client."""
    key = put(server, share, SDDL.encode())

    assert key == put(server, share, json.dumps({"permission": SDDL}).encode())
    assert key != put(server, share, SDDL.encode() + b"(A;;FA;;;BA)")
    assert json.loads(get(server, share, key).body) == {"permission": SDDL}


@pytest.mark.parametrize(
    "body",
    [
        *(None, b"\xff", b"{", b"{}", b'{"permission": 1}', b"{" * 9000),
        b'{"permission": "\\ud800"}',  # half of a pair
    ],
)
def test_what_is_no_permission(server, share, body):
    """It is refused."""
    reply = server.signed("PUT", f"/{share}?restype=share&comp=filepermission", {}, body)
    assert (reply.status, reply.code) == (400, "FileInvalidPermission")


def test_an_unknown_key(server, client, share):
    """Keys of another share, or of a deleted one, are unknown too."""
    client.create_share("other")
    key = put(server, "other", SDDL.encode())
    assert get(server, share, key).code == "FileInvalidPermissionKey"

    client.delete_share("other")
    client.create_share("other")
    assert get(server, "other", key).code == "FileInvalidPermissionKey"
