"""Downloading files, on the level of HTTP."""

import base64
import hashlib
import os
import re
from urllib.parse import urlsplit

import pytest
import requests

from batchai_recipes import RequestError, StagingError
from batchai_recipes.runs.download import Downloads, Source

URL = "https://files.test/demo/data/big"
MIB = 1 << 20
CONTENT = os.urandom(20 * MIB + 7)
CHANGED = "2018-06-07T00:55:05.1234560Z"
CHANGED_NS = 1528332905_123456000
LATER = "Thu, 07 Jun 2018 00:55:06 GMT"
AT_ONCE = "Thu, 07 Jun 2018 00:55:05 GMT"


class RemoteFile:
    """A file behind a link; `faults` are answers to give before the right ones."""

    def __init__(self, endpoint) -> None:
        self.content = CONTENT
        self.headers = {"ETag": '"0x1"', "x-ms-file-change-time": CHANGED, "Date": LATER}
        self.faults = []
        self.asked = []
        endpoint.answer = self.answer

    @property
    def source(self):
        """The file as a download takes it."""
        return Source("big", URL, len(self.content))

    def answer(self, request):
        """Answer as the file service would."""
        asked = request.headers.get("Range")
        self.asked.append((request.method, asked))
        if request.method == "HEAD":
            return (200, {**self.headers, "Content-Length": str(len(self.content))}, "")
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            if fault is not None:
                return fault(self)
        if not asked:
            return (200, self.headers, self.content)
        start, end = re.fullmatch(r"bytes=(\d+)-(\d*)", asked).groups()
        part = self.content[int(start) : int(end or len(self.content)) + 1]
        place = f"bytes {start}-{int(start) + len(part) - 1}/{len(self.content)}"
        return (206, {**self.headers, "Content-Range": place}, part)


@pytest.fixture
def remote(endpoint, monkeypatch):
    """A file of several parts; the client's own retries do not really wait."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    return RemoteFile(endpoint)


@pytest.fixture
def downloads(connection, clock):
    """Downloads that tell how far they are."""
    moved = []
    downloads = Downloads(connection, "job j", moved.append, 4, clock.pacing())
    downloads.moved = moved
    yield downloads
    downloads.close()


def changed_etag(remote):
    """Answer as if the file had been written meanwhile."""
    part = remote.content[8 * MIB : 16 * MIB]
    place = f"bytes {8 * MIB}-{16 * MIB - 1}/{len(remote.content)}"
    return (206, {"ETag": '"0x2"', "Content-Range": place}, part)


def test_a_large_file_comes_in_parts(remote, downloads, tmp_path):
    """All of it, once."""
    downloads.fetch(remote.source, tmp_path / "big")

    assert (tmp_path / "big").read_bytes() == CONTENT
    assert sorted(remote.asked) == [
        ("GET", "bytes=0-8388607"),
        ("GET", "bytes=16777216-20971526"),
        ("GET", "bytes=8388608-16777215"),
    ]
    assert sum(downloads.moved) == len(CONTENT)


@pytest.mark.parametrize("size", [0, 1, 8 * MIB])
def test_a_small_file_comes_with_one_request(remote, downloads, tmp_path, size):
    """An empty one too, of which no range can be asked."""
    remote.content = CONTENT[:size]
    downloads.fetch(remote.source, tmp_path / "big")

    assert remote.content == (tmp_path / "big").read_bytes()
    assert remote.asked == [("GET", None)]


def test_a_file_that_is_here_unchanged_is_not_fetched_again(remote, downloads, tmp_path):
    """It has the time of the remote file's last change."""
    downloads.fetch(remote.source, tmp_path / "big")
    remote.asked.clear()
    downloads.fetch(remote.source, tmp_path / "big")

    assert (tmp_path / "big").stat().st_mtime_ns == CHANGED_NS
    assert remote.asked == [("HEAD", None)]


@pytest.mark.parametrize(
    "change",
    [
        lambda remote, here: here.write_bytes(bytes(len(CONTENT))),
        lambda remote, here: here.write_bytes(b"short"),
        lambda remote, here: here.unlink(),
        lambda remote, here: remote.headers.update(
            {"x-ms-file-change-time": CHANGED.replace("60Z", "70Z")}
        ),
        lambda remote, here: remote.headers.pop("x-ms-file-change-time"),
    ],
    ids=["local content", "local size", "local gone", "remote", "untold"],
)
def test_a_change_on_either_side_is_fetched(remote, downloads, tmp_path, change):
    """No stale file is taken for the new one."""
    here = tmp_path / "big"
    downloads.fetch(remote.source, here)
    change(remote, here)
    downloads.fetch(remote.source, here)

    assert here.read_bytes() == CONTENT
    assert [method for method, _ in remote.asked].count("GET") == 6


def test_a_file_that_changed_just_now_is_not_marked(remote, downloads, tmp_path):
    """The next write might get the same time."""
    remote.headers["Date"] = AT_ONCE
    downloads.fetch(remote.source, tmp_path / "big")

    assert (tmp_path / "big").stat().st_mtime_ns != CHANGED_NS


@pytest.mark.parametrize(
    "fault",
    [
        requests.ConnectionError("reset by peer"),
        lambda remote: (503, {}, ""),
        lambda remote: (200, remote.headers, remote.content),
    ],
    ids=["reset", "busy", "no ranges"],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_faults_on_the_way_do_not_show(remote, downloads, tmp_path, fault, place):
    """Whichever part they befall."""
    remote.faults = [*[None] * place, fault]
    downloads.fetch(remote.source, tmp_path / "big")

    assert (tmp_path / "big").read_bytes() == CONTENT


def test_an_answer_cut_short_is_taken_up_where_it_ended(remote, downloads, tmp_path):
    """Not from the start."""
    whole = f"bytes 0-{8 * MIB - 1}/{len(CONTENT)}"
    remote.faults = [lambda r: (206, {**r.headers, "Content-Range": whole}, CONTENT[:MIB])]
    downloads.fetch(remote.source, tmp_path / "big")

    assert (tmp_path / "big").read_bytes() == CONTENT
    assert ("GET", f"bytes={MIB}-{8 * MIB - 1}") in remote.asked


def test_parts_of_two_states_are_never_put_together(remote, downloads, tmp_path):
    """A file that changed meanwhile is fetched anew."""
    remote.faults = [None, changed_etag]
    downloads.fetch(remote.source, tmp_path / "big")

    assert (tmp_path / "big").read_bytes() == CONTENT
    assert remote.asked.count(("GET", "bytes=0-8388607")) == 2


def test_a_file_that_never_rests_is_an_error(remote, downloads, tmp_path):
    """Its parts would not fit together."""
    remote.faults = [None, changed_etag, changed_etag] * 4

    with pytest.raises(RequestError, match="big of job j: it is being written"):
        downloads.fetch(remote.source, tmp_path / "big")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "recorded",
    [
        {"Content-MD5": base64.b64encode(hashlib.md5(b"right").digest()).decode()},
        {"x-ms-meta-batchai_sha256": hashlib.sha256(b"right").hexdigest()},
    ],
    ids=["md5", "sha256"],
)
def test_a_damaged_file_is_fetched_again(remote, downloads, tmp_path, recorded):
    """A hash that the service holds is checked."""
    remote.content = b"right"
    remote.headers.update(recorded)
    remote.faults = [lambda r: (200, r.headers, b"wrong")]
    downloads.fetch(remote.source, tmp_path / "big")

    assert (tmp_path / "big").read_bytes() == b"right"


def test_a_hash_that_a_job_made_out_of_date_does_not_hinder(remote, downloads, tmp_path):
    """A write through the mount leaves it as it was; what comes twice alike is right."""
    remote.headers["x-ms-meta-batchai_sha256"] = "0" * 64
    downloads.fetch(remote.source, tmp_path / "big")

    assert (tmp_path / "big").read_bytes() == CONTENT


def test_a_file_that_comes_damaged_each_time_is_an_error(remote, downloads, tmp_path):
    """And leaves nothing behind."""
    remote.content = b"right"
    remote.headers["x-ms-meta-batchai_sha256"] = "0" * 64
    remote.faults = [lambda r, i=i: (200, r.headers, f"bad {i}") for i in range(4)]

    with pytest.raises(RequestError, match="it came damaged"):
        downloads.fetch(remote.source, tmp_path / "big")
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_written_is_named(remote, downloads, tmp_path):
    """A folder of the file's name, for one."""
    (tmp_path / "big").mkdir()

    with pytest.raises(StagingError, match=r"Cannot write .*big: Is a directory"):
        downloads.fetch(remote.source, tmp_path / "big")
    assert [path.name for path in tmp_path.iterdir()] == ["big"]


def test_a_link_is_never_shown(remote, downloads, tmp_path):
    """It carries a signature."""
    remote.faults = [lambda r: (403, {}, "")]

    with pytest.raises(RequestError, match="status 403") as raised:
        downloads.fetch(remote.source, tmp_path / "big")
    assert urlsplit(URL).path not in str(raised.value)
