"""The identity endpoints on a real https server, with a clock that tests move."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
from attrs import define, frozen
from starlette.applications import Starlette

from batchai_recipes.service.identity.app import Identity
from batchai_recipes.service.identity.certificates import ensure_authority, ensure_signing_key
from batchai_recipes.service.identity.principals import Principals
from batchai_recipes.service.identity.tokens import Tokens
from batchai_recipes.service.listener import Listener, TlsFiles, bind
from batchai_recipes.service.store import Store

TENANT = "6d5a7ae7-33a1-4f5d-bb0b-3cbd5e9e0b31"
CLIENT = "3bd6be54-9c7c-4d3e-9d5b-2a6e6a3a3a3a"
SECRET = "the client's own secret"


@define
class MovedClock:
    """A clock that stands still until it is moved."""

    time: datetime = datetime(2030, 1, 1, tzinfo=timezone.utc)

    def now(self) -> datetime:
        """Return the time it stands at."""
        return self.time

    def move(self, **span: float) -> None:
        """Move it by a span in the words of timedelta."""
        self.time += timedelta(**span)


@frozen
class Endpoint:
    """A running token endpoint."""

    base: str
    ca_file: str
    tokens: Tokens
    session: requests.Session
    tenant: str = TENANT
    client: str = CLIENT
    secret: str = SECRET

    def get(self, path: str) -> requests.Response:
        """Ask for a document."""
        return self.session.get(self.base + path, timeout=30)

    def post(self, path: str, **fields: str) -> requests.Response:
        """Send a form."""
        return self.session.post(self.base + path, data=fields, timeout=30)


@pytest.fixture
def clock() -> MovedClock:
    """A clock that stands still until it is moved."""
    return MovedClock()


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A key to sign tokens with; making one takes its time."""
    return ensure_signing_key(tmp_path_factory.mktemp("key"))


@pytest.fixture
def tokens(signing_key: bytes, clock: MovedClock) -> Tokens:
    """Tokens of a service at https://service.example."""
    return Tokens(signing_key, lambda: "https://service.example", TENANT, clock)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    store = Store(tmp_path / "state.db")
    yield store
    store.close()


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory, signing_key: bytes) -> Iterator[Endpoint]:
    """A running token endpoint that knows one client."""
    folder = tmp_path_factory.mktemp("identity")
    files = ensure_authority(folder)
    clock = MovedClock()
    with ExitStack() as stack:
        store = Store(folder / "state.db")
        stack.callback(store.close)
        principals = Principals(store)
        principals.add(CLIENT, TENANT, SECRET)
        taken = bind("127.0.0.1", 0)
        base = f"https://127.0.0.1:{taken.getsockname()[1]}"
        tokens = Tokens(signing_key, lambda: base, TENANT, clock)
        identity = Identity(principals=principals, tokens=tokens, clock=clock)
        tls = TlsFiles(str(files.server_cert_file), str(files.server_key_file))
        listener = Listener(Starlette(routes=identity.routes()), taken, tls=tls)
        listener.start()
        stack.callback(listener.stop)
        session = stack.enter_context(requests.Session())
        # The variable REQUESTS_CA_BUNDLE would win over the session's own setting.
        session.trust_env = False
        session.verify = str(files.ca_file)
        yield Endpoint(base, str(files.ca_file), tokens, session)
