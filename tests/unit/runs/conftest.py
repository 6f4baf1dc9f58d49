"""A job whose answers and files a test writes down."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from batchai_recipes import JobRun
from batchai_recipes.runs.job_place import JobPlace

LINK = "https://files.test/demo/data/{}"


@pytest.fixture
def said():
    """What a run reports."""
    return []


@pytest.fixture
def run(connection, clock, said):
    """A run of job j."""
    place = JobPlace("g", "w", "e", "j")
    return JobRun(connection, place, report=said.append, pacing=clock.pacing())


class JobFiles:
    """Files of a job behind links, answered by range as the file service does.

    `before` is called with each request's method and file before it is answered; faults that it
    returns, an answer or an exception, are answered in its place.
    """

    def __init__(self, endpoint) -> None:
        self.contents: dict[str, bytes] = {}
        self.state = "running"
        self.tokens, self.expires_in = 0, 3600
        self.outputs: list[str] = []
        self.before = lambda kind, name: None
        self.asked: list[tuple[str, str]] = []
        self.etag = '"0x1"'
        endpoint.answer = self.answer

    def answer(self, request):
        """Answer a request of the job, its listing or a file of it."""
        parts = urlsplit(request.url)
        name = parts.path.rpartition("/")[2]
        kind = {"j": "job", "listOutputFiles": "list"}.get(name, "file")
        plain = {"Content-Type": "application/json"}
        if name in {"token", "openid-configuration"}:
            self.tokens += name == "token"
            return sign_in(name, f"https://{parts.netloc}", self.expires_in)
        fault = self.before(kind, name)
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            return fault
        if kind == "job":
            properties = {"executionState": self.state}
            properties["outputDirectories"] = [{"id": n, "pathPrefix": "/"} for n in self.outputs]
            return (200, plain, json.dumps({"properties": properties}))
        if kind == "list":
            here = parse_qs(parts.query)["outputdirectoryid"][0]
            files = [
                {
                    "name": file,
                    "fileType": "file",
                    "downloadUrl": LINK.format(file),
                    "properties": {"contentLength": len(content)},
                }
                for file, content in sorted(self.contents.items())
                if here == "stdouterr"
            ]
            return (200, plain, json.dumps({"value": files}))
        return self.part(name, request.headers["Range"])

    def part(self, name, asked):
        """Answer with a part of a file."""
        self.asked.append((name, asked))
        content = self.contents.get(name)
        if content is None:
            return (404, {}, "")
        start, end = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", asked).groups())
        if start >= len(content):
            return (416, {"Content-Range": f"bytes */{len(content)}"}, "")
        part = content[start : end + 1]
        place = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
        return (206, {"Content-Range": place, "ETag": self.etag}, part)


def sign_in(name, base, expires_in):
    """Answer as the place that tokens come from."""
    token = {"access_token": "t", "expires_in": expires_in, "token_type": "Bearer"}
    places = {
        "issuer": f"{base}/t/v2.0",
        "authorization_endpoint": f"{base}/t/authorize",
        "token_endpoint": f"{base}/t/token",
    }
    document = token if name == "token" else places
    return (200, {"Content-Type": "application/json"}, json.dumps(document))


@pytest.fixture
def files(endpoint):
    """The files of job j, none at first."""
    return JobFiles(endpoint)
