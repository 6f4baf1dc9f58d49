"""A file object over ranges, against one in memory."""

import io

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes import ConfigurationError, RequestError
from batchai_recipes.runs.output_reader import OutputReader
from batchai_recipes.runs.range_reader import Piece

CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.tuples(st.integers(-1, 50))),
        st.tuples(st.just("read1"), st.tuples(st.integers(1, 50))),
        st.tuples(st.just("readline"), st.just(())),
        st.tuples(st.just("seek"), st.tuples(st.integers(0, 60))),
        st.tuples(st.just("seek"), st.tuples(st.integers(-60, 5), st.sampled_from([1, 2]))),
        st.tuples(st.just("tell"), st.just(())),
        st.tuples(st.just("peek"), st.just(())),
    ),
    max_size=20,
)


class Memory:
    """Content behind a link, which comes in small parts and whose link runs out now and then."""

    def __init__(self, content, most, lapses) -> None:
        self.content = content
        self.most = most
        self.lapses = iter(lapses)

    def read(self, _url, start, length):
        """Read a part."""
        if next(self.lapses, False):
            return None
        part = self.content[start : start + min(length, self.most)]
        return Piece(part, len(self.content), '"0x1"')


def outcome(file, name, arguments):
    """Return what a call gives; errors by their kind."""
    if name == "peek":  # must not move
        if isinstance(file, io.BufferedReader):
            file.peek()
        return None
    try:
        return getattr(file, name)(*arguments)
    except (ValueError, OSError) as error:
        return type(error) in {ValueError, OSError}


@given(st.binary(max_size=50), st.integers(1, 9), st.lists(st.booleans(), max_size=2), CALLS)
def test_it_behaves_as_a_file_in_memory(content, most, lapses, calls):
    """Whatever is read where, buffered or not."""
    memory = Memory(content, most, lapses)
    raw = OutputReader(memory, "f", lambda: ("link", len(content)))
    with io.BufferedReader(raw, 8) as file, io.BytesIO(content) as expected:
        for name, arguments in calls:
            if name == "seek" and len(arguments) > 1:  # BytesIO alone takes places before the start
                base = {1: expected.tell(), 2: len(content)}[arguments[1]]
                arguments = (max(arguments[0], -base), arguments[1])  # noqa: PLW2901 - for both
            got, want = outcome(file, name, arguments), outcome(expected, name, arguments)
            if name == "read1":  # may be less, wherever it likes
                assert want.startswith(got)
                assert bool(got) == bool(want)
                expected.seek(file.tell())
            else:
                assert got == want
        assert file.tell() == expected.tell()


def test_a_file_is_opened_read_and_sought(files, run):
    """Only what is read is asked for."""
    content = bytes(range(256)) * 20_000
    files.contents = {"model.bin": content}
    with run.outputs("stdouterr").open("model.bin") as file:
        file.seek(-10, io.SEEK_END)
        assert file.read(4) == content[-10:-6]
    with run.outputs("stdouterr").open("model.bin") as file:
        assert file.read() == content

    assert len(files.asked) == 3


def test_text_is_decoded(files, run):
    """Line by line."""
    files.contents = {"notes.txt": "één\ntwo\n".encode()}
    with run.outputs("stdouterr").open("notes.txt", "r") as file:
        assert list(file) == ["één\n", "two\n"]


def test_a_connection_that_drops_is_taken_up(files, run, monkeypatch):
    """By the client's own policy and ours; nobody really waits."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    files.contents = {"a": b"x" * 100}
    faults = [requests.ConnectionError("reset"), (503, {}, ""), (403, {}, "")]
    files.before = lambda kind, _: faults.pop() if kind == "file" and faults else None
    with run.outputs("stdouterr").open("a") as file:
        assert file.read() == b"x" * 100


def test_a_file_that_is_written_anew_is_an_error(files, run):
    """Parts of two states are never put together; one that only grew is read on."""
    files.contents = {"a": b"x" * (5 << 20)}
    with run.outputs("stdouterr").open("a") as file:
        file.read(1)
        files.contents["a"] += b"more"
        files.etag = '"0x2"'
        assert len(file.read()) == (5 << 20) - 1
    with run.outputs("stdouterr").open("a") as file:
        file.read(1)
        files.contents["a"] = b"x" * 10
        with pytest.raises(RequestError, match="written anew"):
            file.read()


def test_a_file_that_is_gone_is_an_error(files, run):
    """Not an empty file."""
    files.contents = {"a": b"x" * 10}
    with run.outputs("stdouterr").open("a") as file:
        files.contents.clear()
        with pytest.raises(RequestError, match="no file 'a'"):
            file.read()


def test_a_place_before_the_start_is_none(files, run):
    """And a whence that Python does not know."""
    files.contents = {"a": b"xy"}
    with run.outputs("stdouterr").open("a") as file:
        with pytest.raises(ValueError, match="negative"):
            file.seek(-3, io.SEEK_END)
        with pytest.raises(ValueError, match="whence"):
            file.seek(0, 9)
    with pytest.raises(ValueError, match="closed"):
        file.tell()


@pytest.mark.parametrize(("path", "mode"), [("", "rb"), ("../a", "rb"), ("a", "w")])
def test_what_cannot_be_opened_is_refused(files, run, path, mode):
    """Before anything is asked."""
    with pytest.raises(ConfigurationError):
        run.outputs("stdouterr").open(path, mode)
