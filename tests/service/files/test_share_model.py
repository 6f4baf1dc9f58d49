"""A share does what a simple model of it does, whatever the order of requests, and restarts."""

import itertools
from urllib.parse import quote
from xml.etree import ElementTree as ET

from attrs import define
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from batchai_recipes.service.files.app import files_app
from batchai_recipes.service.store import Store

NAMES = st.sampled_from(["a", "A", "\u00e9 x"])
PATHS = st.lists(NAMES, min_size=1, max_size=2).map(tuple)
# Mostly something that is there, since most paths are not.
KNOWN = st.runner().flatmap(lambda machine: machine.known() | PATHS)
FILES = st.runner().flatmap(lambda machine: machine.known(files=True))
SIZES = st.integers(0, 20)
_SHARES = itertools.count()


@define
class File:
    """What the model knows of a file."""

    content: bytes
    kind: str


class ShareMachine(RuleBasedStateMachine):
    """Sends requests to a share and does the same to a dictionary, by upper-case path."""

    def __init__(self, server, stage):
        super().__init__()
        self.server = server
        self.stage = stage
        self.share = f"model-{next(_SHARES)}"
        self.entries: dict[tuple[str, ...], tuple[str, File | None]] = {}

    @initialize()
    def create_share(self):
        """Start with an empty share."""
        self.expect(201, "PUT", "?restype=share")

    def expect(self, status, verb, target, headers=None, body=None):
        """Send a request and check the status of its answer."""
        reply = self.server.signed(verb, f"/{self.share}{target}", headers, body)
        assert reply.status == status, (verb, target, reply.code)
        return reply

    def known(self, *, files=False):
        """Draw from the paths of the model, or from those of its files."""
        paths = [path for path, (_, file) in self.entries.items() if file or not files]
        return st.sampled_from(paths) if paths else PATHS

    def target(self, path):
        """Return a path as an address writes it."""
        return "/" + "/".join(map(quote, path))

    def has_parent(self, path):
        """Tell whether the directory above is there."""
        return len(path) == 1 or (self.find(path[:-1]) is None and key(path[:-1]) in self.entries)

    def find(self, path):
        """Return the file at a path, or None."""
        return self.entries.get(key(path), ("", None))[1]

    @rule(path=PATHS)
    def make_directory(self, path):
        """It must not exist, and its parent must."""
        status = 404 if not self.has_parent(path) else 409 if key(path) in self.entries else 201
        self.expect(status, "PUT", f"{self.target(path)}?restype=directory")
        if status == 201:
            self.entries[key(path)] = (path[-1], None)

    @rule(path=PATHS, size=SIZES, kind=st.sampled_from("xyz"))
    def make_file(self, path, size, kind):
        """An old file is replaced and keeps the case of its name."""
        status = 201
        if not self.has_parent(path):
            status = 404
        elif key(path) in self.entries and self.find(path) is None:
            status = 409
        headers = {"x-ms-type": "file", "x-ms-content-length": str(size), "x-ms-meta-k": kind}
        self.expect(status, "PUT", self.target(path), headers)
        if status == 201:
            name = self.entries.get(key(path), (path[-1], None))[0]
            self.entries[key(path)] = (name, File(bytes(size), kind))

    @rule(path=KNOWN, start=SIZES, data=st.binary(min_size=1, max_size=9), clear=st.booleans())
    def write(self, path, start, data, clear):
        """The range must lie in the file."""
        file = self.find(path)
        end = start + len(data) - 1
        headers = {"x-ms-range": f"bytes={start}-{end}", "x-ms-write": "update"}
        if clear:
            data, headers["x-ms-write"] = bytes(len(data)), "clear"
        status = self.status(path, file, 201 if file and end < len(file.content) else 416)
        body = None if clear else data
        self.expect(status, "PUT", f"{self.target(path)}?comp=range", headers, body)
        if status == 201:
            file.content = file.content[:start] + data + file.content[end + 1 :]

    @rule(path=KNOWN, size=SIZES)
    def resize(self, path, size):
        """The rest is cut off, or zeros."""
        file = self.find(path)
        status = self.status(path, file, 200)
        headers = {"x-ms-content-length": str(size)}
        self.expect(status, "PUT", f"{self.target(path)}?comp=properties", headers)
        if file:
            file.content = file.content[:size].ljust(size, b"\0")

    @rule(path=KNOWN)
    def delete_file(self, path):
        """A directory is none."""
        status = self.status(path, self.find(path), 202)
        self.expect(status, "DELETE", self.target(path))
        if status == 202:
            del self.entries[key(path)]

    @rule(path=KNOWN)
    def delete_directory(self, path):
        """It must be empty."""
        there = key(path) in self.entries
        full = any(other[:-1] == key(path) for other in self.entries)
        status = 404 if not there else 409 if self.find(path) or full else 202
        self.expect(status, "DELETE", f"{self.target(path)}?restype=directory")
        if status == 202:
            del self.entries[key(path)]

    @rule(source=FILES, path=PATHS | KNOWN, replace=st.booleans(), copy=st.booleans())
    def move_or_copy(self, source, path, replace, copy):
        """Content and metadata go along."""
        file = self.find(source)
        if file is None or not self.has_parent(path):
            return
        there = key(path) in self.entries
        same = key(path) == key(source)
        blocked = there and not same and (self.find(path) is None or not (replace or copy))
        header = "x-ms-copy-source" if copy else "x-ms-file-rename-source"
        base = f"{self.server.base}/{self.server.account.name}/{self.share}"
        headers = {header: base + self.target(source)}
        if replace:
            headers["x-ms-file-rename-replace-if-exists"] = "true"
        done = 202 if copy else 200
        comp = "" if copy else "?comp=rename"
        self.expect(409 if blocked else done, "PUT", self.target(path) + comp, headers)
        if blocked:
            return
        name = self.entries[key(path)][0] if there and (copy or not same) else path[-1]
        if not copy:
            del self.entries[key(source)]
        self.entries[key(path)] = (name, File(file.content, file.kind))

    @rule()
    def restart(self):
        """A new service on the same state."""
        self.server.store.close()
        self.server.store = Store(self.server.state.database)
        self.stage.service = files_app(
            state=self.server.state,
            store=self.server.store,
            clock=self.server.clock,
            tokens=self.server.tokens,
        )

    def status(self, path, file, good):
        """Return the status of a request about a file."""
        if file:
            return good
        return 409 if key(path) in self.entries else 404

    @invariant()
    def every_directory_lists_what_the_model_has(self):
        """Names as first written, sizes of files."""
        directories = [(), *(path for path, entry in self.entries.items() if entry[1] is None)]
        for directory in directories:
            target = f"{self.target(directory) if directory else ''}?restype=directory&comp=list"
            root = ET.fromstring(self.expect(200, "GET", target).body)
            found = {
                item.findtext("Name"): item.findtext("Properties/Content-Length")
                for item in root.find("Entries")
            }
            expected = {
                name: None if file is None else str(len(file.content))
                for path, (name, file) in self.entries.items()
                if path[:-1] == directory
            }
            assert found == expected

    @invariant()
    def every_file_has_its_content(self):
        """Content and metadata."""
        for path, (_, file) in self.entries.items():
            if file is not None:
                reply = self.expect(200, "GET", self.target(path))
                assert (reply.body, reply.headers["x-ms-meta-k"]) == (file.content, file.kind)


def key(path):
    """Return a path in the form in which names that differ only in case are equal."""
    return tuple(name.upper() for name in path)


def test_a_share_does_what_its_model_does(server, listener):
    """Random requests, restarts between them, and everything compared after each."""
    run_state_machine_as_test(
        lambda: ShareMachine(server, listener[1]),
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
