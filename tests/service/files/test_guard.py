"""Conditional headers are honoured, and what they name is not changed otherwise."""

from datetime import timedelta
from email.utils import format_datetime

import pytest

CREATE = {"x-ms-type": "file", "x-ms-content-length": "3"}
PUT = {"x-ms-write": "update", "x-ms-range": "bytes=0-2"}


@pytest.fixture
def etag(server, share):
    """The ETag of a file that exists."""
    assert server.signed("PUT", "/data/f", CREATE).status == 201
    return server.signed("HEAD", "/data/f").headers["etag"]


@pytest.mark.parametrize(
    ("verb", "target", "headers", "body"),
    [
        ("PUT", "/data/f", CREATE, None),
        ("PUT", "/data/f?comp=range", PUT, b"new"),
        ("PUT", "/data/f?comp=properties", {"x-ms-content-length": "1"}, None),
        ("PUT", "/data/f?comp=metadata", {"x-ms-meta-a": "b"}, None),
        ("DELETE", "/data/f", {}, None),
    ],
)
def test_a_write_that_names_another_state_is_refused(server, etag, verb, target, headers, body):
    """Wrong If-Match, right If-None-Match, stale date: 412 and nothing is changed."""
    past = format_datetime(server.clock.now() - timedelta(days=1), usegmt=True)
    for condition in (
        {"if-match": '"0x0"'},
        {"if-none-match": etag},
        {"if-none-match": "*"},
        {"if-unmodified-since": past},
    ):
        reply = server.signed(verb, target, {**headers, **condition}, body)
        assert (reply.status, reply.code) == (412, "ConditionNotMet")

    assert etag == server.signed("HEAD", "/data/f").headers["etag"]
    reply = server.signed(verb, target, {**headers, "if-match": f'"x", {etag}'}, body)
    assert reply.status in {200, 201, 202}


def test_a_client_with_a_good_copy_gets_no_other(server, etag):
    """304, without a body; a later state is sent."""
    future = format_datetime(server.clock.now() + timedelta(days=1), usegmt=True)
    for condition in ({"if-none-match": etag}, {"if-modified-since": future}):
        reply = server.signed("GET", "/data/f", condition)
        assert (reply.status, reply.code, reply.body) == (304, "ConditionNotMet", b"")

    assert server.signed("GET", "/data/f", {"if-match": '"0x0"'}).status == 412
    assert server.signed("GET", "/data/f", {"if-none-match": '"0x0"'}).status == 200
    assert server.signed("GET", "/data/f", {"if-match": etag}).status == 200


def test_if_match_makes_no_new_file(server, share):
    """There is nothing that could match; If-None-Match: * is for that."""
    reply = server.signed("PUT", "/data/g", {**CREATE, "if-match": "*"})
    assert (reply.status, reply.code) == (412, "ConditionNotMet")

    assert server.signed("PUT", "/data/g", {**CREATE, "if-none-match": "*"}).status == 201
    assert server.signed("PUT", "/data/g", {**CREATE, "if-none-match": "*"}).status == 412


def test_the_conditions_of_shares_and_directories(server, share):
    """They are the same."""
    assert server.signed("PUT", "/data/d?restype=directory").status == 201
    for target in ("/data?restype=share", "/data/d?restype=directory"):
        reply = server.signed("DELETE", target, {"if-match": '"0x0"'})
        assert (reply.status, reply.code) == (412, "ConditionNotMet")
        etag = server.signed("GET", target).headers["etag"]
        assert server.signed("GET", target, {"if-none-match": etag}).status == 304


@pytest.mark.parametrize(
    "date",
    [
        *("", "yesterday", "Mon, 01 Jan 2020 00:00:00 +2500"),
        "Mon, 01 Jan 99999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2020 00:00:00 +99999999999999",
    ],
)
def test_a_condition_that_is_no_date_is_refused(server, etag, date):
    """Whatever makes it none."""
    reply = server.signed("GET", "/data/f", {"if-modified-since": date})
    assert (reply.status, reply.code) == (400, "InvalidHeaderValue")
