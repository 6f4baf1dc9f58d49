"""A share does what a simple model of it does, whatever the order of requests, and restarts."""

import itertools
from urllib.parse import quote
from xml.etree import ElementTree as ET

from attrs import define, evolve
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
    lease: str = ""


class ShareMachine(RuleBasedStateMachine):
    """Sends requests to a share and does the same to a dictionary, by upper-case path."""

    def __init__(self, server, stage):
        super().__init__()
        self.server = server
        self.stage = stage
        self.share = f"model-{next(_SHARES)}"
        self.entries: dict[tuple[str, ...], tuple[str, File | None]] = {}
        self.snapshots: dict[str, dict[tuple[str, ...], tuple[str, File | None]]] = {}

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

    def is_leased(self, path):
        """Tell whether a file is leased."""
        file = self.find(path)
        return bool(file and file.lease)

    def held(self, path):
        """Return the header that lets a request through to a leased file."""
        return {"x-ms-lease-id": self.find(path).lease} if self.is_leased(path) else {}

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
        headers.update(self.held(path))
        self.expect(status, "PUT", self.target(path), headers)
        if status == 201:
            name = self.entries.get(key(path), (path[-1], None))[0]
            lease = self.find(path).lease if self.find(path) else ""
            self.entries[key(path)] = (name, File(bytes(size), kind, lease))

    @rule(path=KNOWN, start=SIZES, data=st.binary(min_size=1, max_size=9), clear=st.booleans())
    def write(self, path, start, data, clear):
        """The range must lie in the file."""
        file = self.find(path)
        end = start + len(data) - 1
        headers = {"x-ms-range": f"bytes={start}-{end}", "x-ms-write": "update"}
        headers.update(self.held(path))
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
        headers = {"x-ms-content-length": str(size), **self.held(path)}
        self.expect(status, "PUT", f"{self.target(path)}?comp=properties", headers)
        if file:
            file.content = file.content[:size].ljust(size, b"\0")

    @rule(path=KNOWN)
    def delete_file(self, path):
        """A directory is none."""
        status = self.status(path, self.find(path), 202)
        self.expect(status, "DELETE", self.target(path), self.held(path))
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
        if copy:
            headers.update(self.held(path))
        else:
            if self.is_leased(source):
                headers["x-ms-source-lease-id"] = file.lease
            if self.is_leased(path) and not same:
                headers["x-ms-destination-lease-id"] = self.find(path).lease
        done = 202 if copy else 200
        comp = "" if copy else "?comp=rename"
        self.expect(409 if blocked else done, "PUT", self.target(path) + comp, headers)
        if blocked:
            return
        name = self.entries[key(path)][0] if there and (copy or not same) else path[-1]
        lease = self.find(path).lease if copy and self.find(path) else "" if copy else file.lease
        if not copy:
            del self.entries[key(source)]
        self.entries[key(path)] = (name, File(file.content, file.kind, lease))

    @rule()
    def make_snapshot(self):
        """It keeps what is there now."""
        if len(self.snapshots) < 3:
            reply = self.expect(201, "PUT", "?restype=share&comp=snapshot")
            entries = {
                path: (name, file and evolve(file)) for path, (name, file) in self.entries.items()
            }
            self.snapshots[reply.headers["x-ms-snapshot"]] = entries

    @rule(data=st.data())
    def delete_snapshot(self, data):
        """The others stay."""
        if self.snapshots:
            stamp = data.draw(st.sampled_from(list(self.snapshots)))
            self.expect(202, "DELETE", f"?restype=share&sharesnapshot={quote(stamp)}")
            del self.snapshots[stamp]

    @rule(data=st.data(), path=PATHS | KNOWN)
    def restore(self, data, path):
        """A file comes back by a copy."""
        old = [
            (stamp, source, file)
            for stamp, entries in self.snapshots.items()
            for source, (_, file) in entries.items()
            if file is not None
        ]
        if not old or not self.has_parent(path):
            return
        stamp, source, file = data.draw(st.sampled_from(old))
        is_directory = key(path) in self.entries and self.find(path) is None
        base = f"{self.server.base}/{self.server.account.name}/{self.share}"
        url = f"{base}{self.target(source)}?sharesnapshot={quote(stamp)}"
        status = 409 if is_directory else 412 if self.is_leased(path) else 202
        self.expect(status, "PUT", self.target(path), {"x-ms-copy-source": url})
        if status == 202:
            name = self.entries.get(key(path), (path[-1], None))[0]
            self.entries[key(path)] = (name, File(file.content, file.kind))

    @rule(path=FILES)
    def lease(self, path):
        """From now on, only who knows its id changes the file."""
        file = self.find(path)
        if file is None:
            return
        status = 409 if file.lease else 201
        headers = {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1"}
        reply = self.expect(status, "PUT", f"{self.target(path)}?comp=lease", headers)
        if status == 201:
            file.lease = reply.headers["x-ms-lease-id"]

    @rule(path=FILES)
    def release(self, path):
        """Everybody may change it again."""
        file = self.find(path)
        if file is None or not file.lease:
            return
        headers = {"x-ms-lease-action": "release", "x-ms-lease-id": file.lease}
        self.expect(200, "PUT", f"{self.target(path)}?comp=lease", headers)
        file.lease = ""

    @rule(path=FILES)
    def lose_the_lease_id(self, path):
        """What changes a leased file is refused without its id."""
        if self.is_leased(path):
            for verb, comp, headers in (
                ("DELETE", "", {}),
                ("PUT", "?comp=metadata", {}),
                ("PUT", "?comp=properties", {"x-ms-content-length": "1"}),
            ):
                self.expect(412, verb, self.target(path) + comp, headers)

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
    def the_share_is_as_the_model_says(self):
        """Each directory lists names as first written; each file has its content and metadata."""
        self.compare(self.entries, "")

    @invariant()
    def every_snapshot_is_as_the_share_was(self):
        """Whatever became of the share."""
        for stamp, entries in self.snapshots.items():
            self.compare(entries, f"&sharesnapshot={quote(stamp)}")

    def compare(self, entries, snapshot):
        """Compare all that a share, or a snapshot, has with what the model has."""
        directories = [(), *(path for path, entry in entries.items() if entry[1] is None)]
        for directory in directories:
            target = f"{self.target(directory) if directory else ''}?restype=directory&comp=list"
            root = ET.fromstring(self.expect(200, "GET", target + snapshot).body)
            found = {
                item.findtext("Name"): item.findtext("Properties/Content-Length")
                for item in root.find("Entries")
            }
            expected = {
                name: None if file is None else str(len(file.content))
                for path, (name, file) in entries.items()
                if path[:-1] == directory
            }
            assert found == expected
        for path, (_, file) in entries.items():
            if file is not None:
                reply = self.expect(200, "GET", f"{self.target(path)}?{snapshot[1:]}")
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
