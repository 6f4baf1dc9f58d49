"""Requests that tests of snapshots have in common."""

from urllib.parse import quote

from batchai_recipes.service.files.app import files_app
from batchai_recipes.service.store import Store

FILE = {"x-ms-type": "file", "x-ms-content-length": "10", "x-ms-meta-Kind": "first"}


def snapshot(server, share="data", headers=None):
    """Make a snapshot; returns the time that names it."""
    reply = server.signed("PUT", f"/{share}?restype=share&comp=snapshot", headers)
    assert reply.status == 201, reply.code
    return reply.headers["x-ms-snapshot"]


def at(target, stamp):
    """Return a target as it was at a snapshot."""
    return f"{target}{'&' if '?' in target else '?'}sharesnapshot={quote(stamp, safe='')}"


def names_in(folder):
    """Return the names in a folder."""
    return sorted(item.name for item in folder.iterdir())


def restart(server):
    """Make a new service on the same state, though nobody asks it anything over HTTP."""
    store = Store(server.state.database)
    files_app(state=server.state, store=store, clock=server.clock)
    store.close()
