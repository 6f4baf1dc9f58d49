"""A file service on a socket of its own, and the clients that the tests drive it with."""

import base64
import hashlib
import hmac
import http.client
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from attrs import define, field, frozen
from azure.storage.file import FileService as AzureFiles
from hypothesis import settings

from batchai_recipes.service.files.accounts import Account, Accounts
from batchai_recipes.service.files.answer import Answer
from batchai_recipes.service.files.app import FileService, files_app
from batchai_recipes.service.files.body import BodyReader
from batchai_recipes.service.files.call import Call
from batchai_recipes.service.files.server import FileServer
from batchai_recipes.service.identity.certificates import (
    Certificates,
    ensure_authority,
    ensure_signing_key,
)
from batchai_recipes.service.identity.tokens import Tokens
from batchai_recipes.service.listener import TlsFiles, bind
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

from .snapshot_requests import FILE

# A machine that is busy with other things is no failure.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

KEY1 = base64.b64encode(b"the first key of the account").decode()
TENANT = "11111111-1111-1111-1111-111111111111"
PRINCIPAL = "22222222-2222-2222-2222-222222222222"
KEY2 = base64.b64encode(b"the second key of the account").decode()


class MovableClock:
    """The present time, moved by hand."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        """Return the moved time."""
        return datetime.now(timezone.utc) + self.offset

    def advance(self, **amount: float) -> None:
        """Move the clock, by the arguments of a timedelta."""
        self.offset += timedelta(**amount)


@frozen
class Reply:
    """What the service answered; headers by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """Azure's code of a refusal."""
        return self.headers.get("x-ms-error-code", "")


@define
class Server:
    """A running file service."""

    port: int
    secure_port: int
    ca_file: Path
    tokens: Tokens
    clock: MovableClock
    state: StateDirectory
    store: Store
    account: Account = field(factory=lambda: Account("batchtest", KEY1, KEY2))

    @property
    def base(self) -> str:
        """The URL before the account."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def secure_base(self) -> str:
        """The https URL before the account."""
        return f"https://127.0.0.1:{self.secure_port}"

    def token(self, audience: str = "https://storage.azure.com") -> str:
        """Return a token of a principal, as the token endpoint issues it."""
        return self.tokens.issue(PRINCIPAL, audience)[0]

    @property
    def connection_string(self) -> str:
        """What Azure's clients connect with."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account.name};"
            f"AccountKey={self.account.key1};FileEndpoint={self.base}/{self.account.name};"
        )

    def folder(self, share: str) -> Path:
        """Return a share's folder, where jobs write."""
        return self.state.share(self.account.name, share)

    def send(
        self, verb: str, target: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        """Send a request as it stands: nothing is added, escaped or normalised."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(verb, target, skip_host="host" in headers)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None and "content-length" not in headers:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            lower = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, lower, response.read())
        finally:
            connection.close()

    def signed(
        self,
        verb: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        key: str = KEY1,
    ) -> Reply:
        """Sign a request with a key and send it; the target starts after the account."""
        length = str(len(body)) if body else ""
        raw, given = self.sign(verb, target, headers or {}, length, key=key)
        return self.send(verb, raw, given, body)

    def sign(
        self,
        verb: str,
        target: str,
        headers: Mapping[str, str],
        length: str = "",
        *,
        key: str = KEY1,
    ) -> tuple[str, dict[str, str]]:
        """Return a request's path and its headers, signed."""
        raw = f"/{self.account.name}{target}"
        given = {
            "x-ms-date": format_datetime(self.clock.now(), usegmt=True),
            "x-ms-version": "2019-02-02",
            **headers,
        }
        text = string_to_sign(self.account.name, verb, raw, given, length)
        given["authorization"] = f"SharedKey {self.account.name}:{signature(key, text)}"
        return raw, given


def signature(key: str, text: str) -> str:
    """Sign a text, written apart from the service's own code."""
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def string_to_sign(
    account: str, verb: str, raw: str, headers: Mapping[str, str], length: str
) -> str:
    """Write the string to sign, apart from the service's own code."""
    path, _, query = raw.partition("?")
    lower = {name.lower(): value for name, value in headers.items()}
    slots = [
        "content-encoding", "content-language", "", "content-md5", "content-type", "",
        "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
    ]  # fmt: skip
    values = [lower.get(slot, "") for slot in slots]
    values[2] = length
    canonical = [f"{name}:{lower[name]}" for name in sorted(lower) if name.startswith("x-ms-")]
    pairs = (pair.partition("=")[::2] for pair in query.split("&") if pair)
    decoded = sorted((name.lower(), unquote_plus(value)) for name, value in pairs)
    resource = "".join(f"\n{name}:{value}" for name, value in decoded)
    return "\n".join([verb, *values, *canonical, f"/{account}{path}{resource}"])


class Stage:
    """Hands requests to the file service of the running test."""

    def __init__(self) -> None:
        self.service: FileService | None = None

    def handle(self, call: Call, read_body: BodyReader) -> Answer:
        """Answer one request."""
        assert self.service is not None
        return self.service.handle(call, read_body)


@pytest.fixture(scope="session")
def listener() -> Iterator[tuple[int, Stage]]:
    """Run one web server for all tests."""
    stage = Stage()
    running = FileServer(stage.handle, bind("127.0.0.1", 0))
    running.start()
    yield running.port, stage
    running.stop()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """What https needs."""
    return ensure_authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def secure_port(listener: tuple[int, Stage], certificates: Certificates) -> Iterator[int]:
    """The port of the same service by https."""
    tls = TlsFiles(str(certificates.server_cert_file), str(certificates.server_key_file))
    running = FileServer(listener[1].handle, bind("127.0.0.1", 0), tls=tls)
    running.start()
    yield running.port
    running.stop()


@pytest.fixture(scope="session")
def signing_key(certificates: Certificates) -> bytes:
    """What signs tokens."""
    return ensure_signing_key(certificates.ca_file.parent)


@pytest.fixture
def server(
    tmp_path: Path,
    listener: tuple[int, Stage],
    secure_port: int,
    certificates: Certificates,
    signing_key: bytes,
) -> Iterator[Server]:
    """A file service of its own for each test, with one account."""
    port, stage = listener
    state = StateDirectory(tmp_path / "state")
    state.create()
    store = Store(state.database)
    clock = MovableClock()
    Accounts(store).create("batchtest", KEY1, KEY2)
    with store.write() as records:  # without the hash of a secret, which takes its time
        records.execute(
            "INSERT INTO principals (client_id, tenant_id, salt, secret_hash) VALUES (?, ?, ?, ?)",
            (PRINCIPAL, TENANT, b"", b""),
        )
    tokens = Tokens(signing_key, lambda: "https://127.0.0.1:1", TENANT, clock)
    stage.service = files_app(state=state, store=store, clock=clock, tokens=tokens)
    yield Server(port, secure_port, certificates.ca_file, tokens, clock, state, store)
    stage.service = None
    store.close()


@pytest.fixture
def stage(server: Server, listener: tuple[int, Stage]) -> Stage:
    """What a test puts another service on, after a crash of the first one."""
    return listener[1]


@pytest.fixture
def client(server: Server) -> Iterator[AzureFiles]:
    """Azure's own client, connected to the service."""
    service = AzureFiles(connection_string=server.connection_string)
    yield service
    service.request_session.close()


@pytest.fixture
def share(client: AzureFiles) -> str:
    """The name of a share that exists."""
    client.create_share("data")
    return "data"


@pytest.fixture
def data(server: Server, client: AzureFiles, share: str) -> str:
    """A share with a directory, a file in it, and metadata of all three."""
    client.set_share_metadata(share, {"of": "share"})
    client.create_directory(share, "d", metadata={"of": "directory"})
    server.signed("PUT", f"/{share}/d/f.txt", FILE, b"0123456789")
    return share
