"""The way of a request, seen from outside."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from azure.storage.file import FileService

from batchai_recipes.service.files.accounts import Accounts
from batchai_recipes.service.files.app import files_app
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.store import Store


def names_in(folder):
    """Return the names in a folder."""
    return sorted(item.name for item in folder.iterdir())


def test_an_error_says_what_azures_errors_say(server):
    """Code, message, request id and time are in the document, the code in a header too."""
    reply = server.signed("GET", "/data?restype=share", {"x-ms-client-request-id": "mine"})

    root = ET.fromstring(reply.body)
    message = root.findtext("Message")
    assert "ShareNotFound" == root.findtext("Code") == reply.code
    assert f"\nRequestId:{reply.headers['x-ms-request-id']}\nTime:" in message
    assert reply.headers["x-ms-client-request-id"] == "mine"
    assert reply.headers["content-type"] == "application/xml"
    assert str(len(reply.body)) == reply.headers["content-length"]


def test_a_bug_is_logged_with_the_id_that_the_client_gets(server, share, caplog):
    """What nobody foresaw is a 500 without details, which are in the log."""
    with server.store.write() as records:
        records.execute("UPDATE shares SET metadata = 'no json'")

    reply = server.signed("GET", "/data?restype=share&secret=1")

    assert (reply.status, reply.code) == (500, "InternalError")
    assert b"JSON" not in reply.body
    (record,) = [record for record in caplog.records if record.exc_info]
    assert reply.headers["x-ms-request-id"] in record.getMessage()
    assert "secret" not in record.getMessage()
    assert server.signed("GET", "?restype=service&comp=properties").status == 200


def test_a_damaged_record_leaves_no_file_open(server, client, share):
    """A file opened before the bug showed is closed."""
    client.create_file(share, None, "f", 1, metadata={"a": "b"})
    with server.store.write() as records:
        records.execute("UPDATE file_entries SET metadata = 'no json'")

    assert server.signed("GET", "/data/f").status == 500

    opened = [Path(f"/proc/self/fd/{number}") for number in names_in(Path("/proc/self/fd"))]
    path = server.folder(share) / "f"
    assert path not in [link.readlink() for link in opened if link.is_symlink()]


def test_a_refused_upload_leaves_the_connection_usable(server, client, share):
    """A refusal before the body was read does not break the next request."""
    with pytest.raises(Exception, match="ResourceNotFound"):
        client.update_range(share, None, "nothing", bytes(2**20), 0, 2**20 - 1)

    assert client.exists(share)


SERVE = """
    import sys, threading
    from pathlib import Path
    from batchai_recipes.service.clock import SystemClock
    from batchai_recipes.service.files.app import files_app
    from batchai_recipes.service.files.server import FileServer
    from batchai_recipes.service.listener import bind
    from batchai_recipes.service.state_directory import StateDirectory
    from batchai_recipes.service.store import Store

    state = StateDirectory(Path(sys.argv[1]))
    app = files_app(state=state, store=Store(state.database), clock=SystemClock())
    server = FileServer(app.handle, bind("127.0.0.1", 0))
    server.start()
    print(server.port, flush=True)
    threading.Event().wait()
"""


def test_what_was_acknowledged_outlives_a_kill(server, tmp_path):
    """Shares, files and metadata that a killed service acknowledged are there afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVE), str(server.state.root)],
        stdout=subprocess.PIPE,
        text=True,
    )
    port = int(process.stdout.readline())
    endpoint = server.connection_string.replace(f":{server.port}/", f":{port}/")
    client = FileService(connection_string=endpoint)
    content = os.urandom(5 * 2**20)

    client.create_share("data")
    client.create_directory("data", "d")
    client.create_file_from_bytes("data", "d", "f", content, metadata={"a": "b"})
    process.send_signal(signal.SIGKILL)
    process.communicate()
    client.request_session.close()

    survivor = FileService(connection_string=server.connection_string)
    assert content == survivor.get_file_to_bytes("data", "d", "f").content
    assert dict(survivor.get_file_metadata("data", "d", "f")) == {"a": "b"}
    survivor.request_session.close()


def test_a_deletion_that_a_crash_interrupted_is_finished(server, share):
    """What a dead service had set aside is gone once a new one is started."""
    aside = server.state.shares / "batchtest" / ".deleted-x"
    (aside / "d").mkdir(parents=True)

    files_app(state=server.state, store=server.store, clock=server.clock)

    assert [share] == names_in(server.state.shares / "batchtest")


def test_a_folder_without_a_share_is_no_share(server):
    """A crash between the two steps of a deletion leaves a folder, which a new share replaces."""
    left = server.folder("data")
    left.mkdir(parents=True)
    (left / "old").write_text("old")
    assert server.signed("GET", "/data?restype=share").status == 404

    assert server.signed("PUT", "/data?restype=share").status == 201

    assert names_in(left) == []


def test_other_parts_of_the_service_find_a_share(server, share):
    """The scheduler mounts a share by its root, and is told when there is none."""
    shares = Shares(server.store, server.state, server.clock)

    assert server.folder(share) == shares.root("batchtest", share)
    with pytest.raises(LookupError):
        shares.root("batchtest", "nothing")


@pytest.mark.parametrize("name", ["ab", "Batch", "a_b", "x" * 25, "devstoreaccount1", "../up"])
def test_accounts_have_names_that_clients_can_use(tmp_path, name):
    """Neither Azure's rules nor its clients' special names are left to be found out later."""
    store = Store(tmp_path / "state.db")

    with pytest.raises(ValueError, match="storage account|Azure's clients"):
        Accounts(store).create(name, "a2V5", "a2V5")
    with pytest.raises(ValueError, match="base64") as caught:
        Accounts(store).create("batch", "a2V5", "no base64!")

    assert "no base64!" not in str(caught.value)
    assert Accounts(store).get(name) is None
    store.close()


def test_the_folder_of_an_account_that_is_gone_goes(server, share):
    """Also where whoever deleted the account was quicker than who deletes its shares."""
    (server.folder(share) / "f").write_text("text")
    shares = Shares(server.store, server.state, server.clock)

    shares.discard_account("batchtest")
    assert (server.folder(share) / "f").exists()  # the account is there
    with server.store.write() as records:
        records.execute("DELETE FROM accounts")
    shares.discard_account("batchtest")

    assert names_in(server.state.shares) == []


def test_an_empty_folder_of_an_account_goes_at_the_next_start(server):
    """Only an empty one: see the tests of lost records."""
    (server.state.shares / "gone").mkdir()

    files_app(state=server.state, store=server.store, clock=server.clock)

    assert "gone" not in names_in(server.state.shares)
