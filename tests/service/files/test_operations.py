"""Which request is which operation, and what is none."""

import pytest

from batchai_recipes.service.files.operations import OPERATIONS


def test_no_two_operations_are_alike():
    """A request matches at most one line of the table."""
    keys = [
        (operation.noun, verb, operation.comp)
        for operation in OPERATIONS
        for verb in operation.verbs
    ]

    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("verb", "target", "status", "code"),
    [
        ("GET", "/data?restype=share&comp=nonsense", 400, "InvalidQueryParameterValue"),
        ("GET", "/data/f?comp=nonsense", 400, "InvalidQueryParameterValue"),
        ("GET", "?comp=nonsense", 400, "InvalidQueryParameterValue"),
        ("GET", "?restype=share", 400, "InvalidQueryParameterValue"),
        ("GET", "/data", 400, "InvalidQueryParameterValue"),
        ("GET", "/data?restype=container", 400, "InvalidQueryParameterValue"),
        ("GET", "/data/f?restype=share", 400, "InvalidQueryParameterValue"),
        ("POST", "/data?restype=share", 405, "UnsupportedHttpVerb"),
        ("PATCH", "/data/f", 405, "UnsupportedHttpVerb"),
        ("DELETE", "/data/f?comp=range", 405, "UnsupportedHttpVerb"),
        ("GET", "", 405, "UnsupportedHttpVerb"),
        ("POST", "?restype=service&comp=userdelegationkey", 403, "AuthenticationFailed"),
        ("PUT", "/data?restype=share&comp=undelete", 400, "NotEmulated"),
        ("PUT", "/data?restype=share&comp=filepermission", 400, "FileInvalidPermission"),
        ("GET", "/data/f?comp=listhandles", 404, "ResourceNotFound"),
        ("PUT", "/data/f?comp=lease", 404, "ResourceNotFound"),
        ("PUT", "/data/f?comp=rename", 400, "MissingRequiredHeader"),
        ("GET", "/data/f?sharesnapshot=2024-01-02T03:04:05.0000000Z", 404, "ShareSnapshotNotFound"),
        ("PUT", "/data/f?restype=symboliclink", 400, "NotEmulated"),
    ],
)
def test_what_is_no_operation(server, share, *, verb, target, status, code):
    """Each is refused with a code of its own, none with a 5xx."""
    reply = server.signed(verb, target)

    assert (status, code) == (reply.status, reply.code)
    assert f"<Code>{code}</Code>".encode() in reply.body


def test_the_allowed_verbs_are_told(server, share):
    """405 says what may be sent."""
    assert server.signed("POST", "/data/f").headers["allow"] == "DELETE, GET, HEAD, PUT"


def test_parameters_are_read_in_any_case(server, share):
    """Names and values of restype and comp ignore case."""
    assert server.signed("GET", "/data?ResType=Directory&Comp=LIST").status == 200
