"""JobRun, on the level of HTTP."""

import itertools

import pytest
import requests
from azure.mgmt.batchai import models
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes import (
    ConfigurationError,
    JobFailedError,
    RequestError,
    WaitTimeoutError,
)
from batchai_recipes.runs.stream import LineSplitter

LINK = "https://files.test/demo/data/{}"


OCTETS = {"Content-Type": "application/octet-stream"}
END = (416, {}, "")


def job(state, **info):
    """Return a job as a service would describe it."""
    return {"properties": {"executionState": state, "executionInfo": info}}


def listing(*names, size=10):
    """Return a page of output files."""
    files = [
        {
            "name": name,
            "fileType": "file",
            "downloadUrl": LINK.format(name),
            "properties": {"contentLength": size, "lastModified": "2018-06-07T00:55:05Z"},
        }
        for name in names
    ]
    return {"value": files}


def test_waiting_reports_each_state_once(endpoint, run, said):
    """Through queued, running and succeeded."""
    states = ["queued", "queued", "running", "running", "succeeded"]
    endpoint.on("GET", "/jobs/j", *[job(state) for state in states])
    run.wait()

    assert said == ["Job state: queued", "Job state: running", "Job state: succeeded"]


def test_a_failed_job_raises_with_exit_code_errors_and_the_end_of_stderr(endpoint, run):
    """What a person needs to find out why."""
    errors = [{"code": "JobFailed", "message": "it exited with 3"}]
    endpoint.on("GET", "/jobs/j", job("failed", exitCode=3, errors=errors))
    endpoint.on("POST", "/listOutputFiles", listing("stderr.txt", size=5000))
    endpoint.raw("GET", "/stderr.txt", (206, OCTETS, "é: no "), (206, OCTETS, "such file\n"), END)

    with pytest.raises(JobFailedError) as raised:
        run.wait()
    assert (
        raised.value.exit_code,
        raised.value.errors,
        raised.value.stderr_tail,
    ) == (3, ("JobFailed: it exited with 3",), "é: no such file\n")
    ranges = [r.headers["Range"] for r in endpoint.requests if r.url.endswith("stderr.txt")]
    assert ranges[:2] == ["bytes=904-4999", "bytes=911-4999"]


def test_a_job_that_never_ran_has_no_exit_code(endpoint, run):
    """A queued job that was terminated, for one; its stderr cannot be read and that is said."""
    endpoint.on("GET", "/jobs/j", job("failed"))

    with pytest.raises(JobFailedError, match="without an exit code") as raised:
        run.wait()
    assert "stderr.txt could not be read" in str(raised.value)
    assert raised.value.stderr_tail is None
    assert "is empty" not in str(raised.value)


def test_a_wait_can_be_bounded(endpoint, run):
    """The job goes on."""
    endpoint.on("GET", "/jobs/j", job("running"))

    with pytest.raises(WaitTimeoutError, match="still running after 5 s"):
        run.wait(timeout=5)


@pytest.mark.parametrize("timeout", [-1, "5", True])
def test_a_bound_is_a_number_of_seconds(endpoint, run, timeout):
    """Anything else is refused before the service is asked."""
    with pytest.raises(ConfigurationError, match="give seconds, 0 or more"):
        run.wait(timeout=timeout)
    assert endpoint.calls == []


def test_a_deleted_job_is_an_error(endpoint, run):
    """Not an endless wait."""
    with pytest.raises(RequestError, match="get job j"):
        run.wait()


@pytest.mark.parametrize("cuts", [[], [1], [3, 4, 5], [9, 11]])
def test_streaming_yields_every_line_once(endpoint, run, cuts):
    """However the chunks are cut, characters of several bytes included."""
    content = "één\ntwo\r\nüber\nrest".encode()
    parts = [content[a:b] for a, b in itertools.pairwise([0, *cuts, len(content)])]
    endpoint.on("GET", "/jobs/j", *[job("running")] * len(parts), job("running"), job("succeeded"))
    endpoint.on("POST", "/listOutputFiles", listing(), listing("stdout.txt"))
    endpoint.raw("GET", "/stdout.txt", *[(206, OCTETS, part) for part in parts], (416, {}, ""))

    assert list(run.stream()) == ["één", "two", "über", "rest"]


def test_streaming_asks_only_for_what_is_new(endpoint, run):
    """By Range, from the first byte not seen."""
    endpoint.on("GET", "/jobs/j", job("running"), job("running"), job("succeeded"))
    endpoint.on("POST", "/listOutputFiles", listing("stdout.txt"))
    endpoint.raw(
        "GET", "/stdout.txt", (206, OCTETS, "one\n"), (206, OCTETS, "two\n"), (416, {}, "")
    )
    list(run.stream())
    ranges = [r.headers["Range"] for r in endpoint.requests if r.url.endswith("stdout.txt")]

    assert [asked.partition("-")[0] for asked in ranges[:3]] == ["bytes=0", "bytes=4", "bytes=8"]


@pytest.mark.parametrize("fault", [(503, {}, ""), requests.ConnectionError("reset")])
def test_streaming_survives_a_passing_fault(endpoint, run, monkeypatch, fault):
    """By the client's own retry policy, which does not really wait here."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    endpoint.on("GET", "/jobs/j", job("running"), job("running"), job("succeeded"))
    endpoint.on("POST", "/listOutputFiles", listing("stdout.txt"))
    chunks = (206, OCTETS, "one\n"), fault, (206, OCTETS, "two\n"), (416, {}, "")
    endpoint.raw("GET", "/stdout.txt", *chunks)

    assert list(run.stream()) == ["one", "two"]


def test_a_link_that_ran_out_is_renewed(endpoint, run):
    """No line is lost or doubled."""
    endpoint.on("GET", "/jobs/j", job("running"), job("running"), job("running"), job("succeeded"))
    endpoint.on("POST", "/listOutputFiles", listing("stdout.txt"))
    endpoint.raw(
        "GET",
        "/stdout.txt",
        (206, OCTETS, "one\n"),
        (403, {}, ""),
        (206, OCTETS, "two\n"),
        (416, {}, ""),
    )

    assert list(run.stream()) == ["one", "two"]


def test_a_log_that_never_appears_ends_with_the_job(endpoint, run):
    """A job that could not start writes none."""
    endpoint.on("GET", "/jobs/j", job("running"), job("failed"))
    endpoint.on("POST", "/listOutputFiles", listing())

    assert list(run.stream()) == []


def test_downloading_walks_into_directories(endpoint, run, tmp_path):
    """Each file at its place."""
    top = listing("a.txt", size=1)
    top["value"].append({"name": "sub", "fileType": "directory"})
    endpoint.on("POST", "/listOutputFiles", top, listing("b.txt", size=1))
    endpoint.raw("GET", "/[ab].txt", (200, OCTETS, "x"))
    got = run.outputs("MODEL").download(tmp_path / "new" / "models")

    assert [str(file.relative_to(tmp_path / "new" / "models")) for file in got] == [
        "a.txt",
        "sub/b.txt",
    ]
    assert sorted(got) == sorted(p for p in tmp_path.rglob("*") if p.is_file())


def test_a_failed_download_leaves_no_file(endpoint, run, tmp_path):
    """An older file of the name stays whole."""
    (tmp_path / "a.txt").write_text("old")
    endpoint.on("POST", "/listOutputFiles", listing("a.txt"))
    endpoint.raw("GET", "/a.txt", (404, {}, ""))

    with pytest.raises(RequestError, match=r"a\.txt.*404"):
        run.outputs("MODEL").download(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("name", ["..", ".", "a/b", "", "a\0"])
def test_names_that_lead_out_of_the_destination_are_refused(endpoint, run, tmp_path, name):
    """A job may name its files as it likes."""
    endpoint.on("POST", "/listOutputFiles", listing(name))

    with pytest.raises(RequestError, match="output file named"):
        run.outputs("MODEL").download(tmp_path)


def test_directories_may_be_nested_deeper_than_calls(endpoint, run, monkeypatch):
    """As a job that runs wild makes them."""
    output = run.outputs("MODEL")
    folder, file = {"name": "d", "fileType": "directory"}, listing("f")["value"][0]

    def listed(_, directory):
        found = folder if directory.count("/") < 2000 else file
        return [models.File.deserialize(found)]

    # That of the twin walks with it.
    monkeypatch.setattr("batchai_recipes.runs.job_output.JobOutput._list", listed)
    (found,) = output.files()
    assert found.path == "d/" * 2001 + "f"


def test_a_destination_that_is_a_file_is_refused(endpoint, run, tmp_path):
    """With what to do."""
    (tmp_path / "models").write_text("")

    for destination in (tmp_path / "models", "a\0b"):
        with pytest.raises(ConfigurationError, match="name a folder"):
            run.outputs("MODEL").download(destination)


def test_links_are_never_shown(endpoint, run):
    """They carry a signature."""
    endpoint.on("POST", "/listOutputFiles", listing("a.txt"))

    assert "https" not in repr(run.outputs("MODEL").files())


@given(st.text(), st.lists(st.integers(0, 200)))
def test_lines_are_the_same_however_their_bytes_are_cut(text, cuts):
    """Nothing is lost, doubled or garbled."""
    content = text.encode()
    places = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    splitter = LineSplitter()
    lines = [
        line
        for start, end in itertools.pairwise(places)
        for line in splitter.feed(content[start:end])
    ]
    lines += splitter.rest()
    expected = [line.removesuffix("\r") for line in text.split("\n")]

    assert expected in (lines, [*lines, ""])
