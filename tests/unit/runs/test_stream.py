"""Following logs: any split into chunks, faults and reconnects gives the same lines."""

import itertools

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from batchai_recipes import ConfigurationError, Pacing, RequestError
from batchai_recipes.outage import Outage
from batchai_recipes.runs.job_output import OutputFile
from batchai_recipes.runs.log_names import LogNames
from batchai_recipes.runs.range_reader import Piece
from batchai_recipes.runs.stream import LineSplitter, LogFollower


def of(name, lines):
    """Return the lines that came from one log."""
    return [line for log, line in lines if log == name]


class Script:
    """A job that writes logs, and links that fail, as a list of steps says."""

    def __init__(self, contents, steps) -> None:
        self.contents = contents
        self.written = dict.fromkeys(contents, 0)
        self.steps = iter(steps)
        self.serial = itertools.count()
        self.expired: set[str] = set()
        self.reader = self

    def ended(self):
        """Let the job take a step; over when there is none left and all is written."""
        step = next(self.steps, None)
        if step is None:
            self.written = {name: len(content) for name, content in self.contents.items()}
            self.expire = False
            return True
        name, count, expire = step
        self.row = self.row + 1 if expire else 0
        self.expire = expire and self.row < 4
        self.written[name] = min(len(self.contents[name]), self.written[name] + count)
        return False

    expire = False
    row = 0

    def files(self):
        """List what has been begun."""
        return [
            OutputFile(name, size, f"{name}#{next(self.serial)}")
            for name, size in self.written.items()
            if size or name == "always"
        ]

    def read(self, url, start, length):
        """Read, cut short now and then; a link that ran out is refused."""
        if self.expire and url not in self.expired:
            self.expired.add(url)
            self.expire = False
            return None
        assert url not in self.expired
        name = url.partition("#")[0]
        there = self.contents[name][: self.written[name]]
        content = there[start : start + min(length, 7)]
        return Piece(content, len(there), None)


STEPS = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 20), st.booleans()), max_size=12
)


@settings(max_examples=150)
@given(st.text(max_size=40), st.text(max_size=40), STEPS)
def test_every_line_comes_once_and_in_order(first, second, steps):
    """However it is written, cut and interrupted, characters of several bytes included."""
    contents = {"a": first.encode(), "b": second.encode()}
    job = Script(contents, steps)
    pacing = Pacing(sleep=lambda _: None)
    names = LogNames.of(["*"])
    outage = Outage("job j", pacing, str)
    follower = LogFollower(job, names, "j", ended=job.ended, pacing=pacing, outage=outage)
    lines = list(follower.lines())

    for name, content in contents.items():
        splitter = LineSplitter()
        assert of(name, lines) == [*splitter.feed(content), *splitter.rest()]


def test_several_logs_come_with_their_names(files, run):
    """As in the order in which they were named."""
    files.state = "succeeded"
    files.contents = {"stdout-0.txt": b"a\nb\n", "stdout-1.txt": b"c\n", "stderr-0.txt": b"x"}

    assert list(run.stream("stdout-*.txt", "stderr-0.txt")) == [
        *("stdout-0.txt: a", "stdout-0.txt: b", "stdout-1.txt: c", "stderr-0.txt: x"),
    ]
    assert list(run.stream("stdout-0.txt", prefix=True)) == ["stdout-0.txt: a", "stdout-0.txt: b"]
    assert list(run.stream("stdout-?.txt", prefix=False)) == ["a", "b", "c"]


def test_a_log_that_appears_late_is_followed_too(files, run):
    """A process of a job may start after the others."""
    files.contents = {"stdout-0.txt": b"first\n"}
    looks = itertools.count()

    def before(kind, _):
        if kind == "job" and next(looks) == 2:
            files.contents["stdout-1.txt"] = b"second\n"
            files.state = "succeeded"

    files.before = before
    assert list(run.stream("stdout-*.txt")) == ["stdout-0.txt: first", "stdout-1.txt: second"]


FAULTS = {
    "reset": lambda: requests.ConnectionError("reset by peer"),
    "busy": lambda: (503, {}, ""),
    "throttled": lambda: (429, {"Retry-After": "3"}, ""),
    "link ran out": lambda: (403, {}, ""),
    "empty": lambda: (206, {}, b""),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_passing_fault_loses_and_doubles_nothing(files, run, monkeypatch, fault, at):
    """Whenever it comes; nobody really waits."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    whole, seen = b"one\ntw\xc3\xb6\nthree", itertools.count()

    def before(kind, _):
        if kind == "job":
            files.contents["stdout.txt"] = whole[: 6 * (1 + next(looks))]
        if kind == "job" and len(files.contents["stdout.txt"]) == len(whole):
            files.state = "succeeded"
        return FAULTS[fault]() if kind == "file" and next(seen) == at else None

    looks = itertools.count()
    files.before = before
    assert list(run.stream()) == ["one", "twö", "three"]


def test_a_token_that_runs_out_is_renewed(files, run):
    """By the client, before it does: a stream may outlive its token by hours."""
    files.contents, looks = {"stdout.txt": b"one\n"}, itertools.count()
    files.expires_in = 1

    def before(kind, _):
        if kind == "job" and next(looks) == 3:
            files.state = "succeeded"

    files.before = before
    assert list(run.stream()) == ["one"]
    assert files.tokens > 3


def test_a_token_that_is_refused_is_an_error(files, run):
    """That says what to check, and no end of the log."""
    files.contents = {"stdout.txt": b"one\n"}
    refusal = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    files.before = lambda kind, _: (401, refusal, "{}") if kind == "job" else None

    with pytest.raises(RequestError, match=r"get job j.*check AZURE_TENANT_ID"):
        list(run.stream())


def test_links_that_are_refused_for_good_are_an_error(files, run):
    """Silence would look like a log that ended."""
    files.contents, files.state = {"stdout.txt": b"one\n"}, "succeeded"
    files.before = lambda kind, _: (403, {}, "") if kind == "file" else None

    with pytest.raises(RequestError, match="refuses each new link"):
        list(run.stream())


def test_a_log_begun_anew_is_read_from_its_start(files, run):
    """As of a job that was started again and writes the log itself."""
    files.contents = {"train.log": b"old one\nold two\nhalf"}
    looks = itertools.count()

    def before(kind, _):
        if kind == "job" and next(looks) == 2:
            files.contents["train.log"] = b"new\n"
        if kind == "job" and next(looks) > 6:
            files.state = "succeeded"

    files.before = before
    assert list(run.stream("train.log")) == ["old one", "old two", "half", "new"]


def test_a_name_that_is_mistyped_is_said(files, run):
    """After success only: a failed job may have written nothing."""
    files.contents, files.state = {"stdout.txt": b""}, "succeeded"
    with pytest.raises(RequestError, match=r"no log 'stdot.txt': did you mean 'stdout.txt'"):
        list(run.stream("stdot.txt"))

    files.state = "failed"
    assert list(run.stream("stdot.txt")) == []


def test_an_empty_name_is_refused_at_the_call(run):
    """Before anything is asked."""
    with pytest.raises(ConfigurationError, match="empty"):
        run.stream("")


def test_a_line_in_very_many_chunks_is_put_together_once():
    """Not anew for each chunk, which would take minutes here."""
    splitter = LineSplitter()
    for _ in range(200_000):
        assert not list(splitter.feed(b"x" * 10))

    assert [len(line) for line in splitter.feed(b"\n")] == [2_000_000]
