"""A Batch AI endpoint whose answers each test writes down, on the level of HTTP."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
import responses
from requests import PreparedRequest

from batchai_recipes import Connection, ConnectionSettings, StorageAccount
from batchai_recipes.testing import VirtualClock

ENDPOINT = "https://batchai.test"
FILES = "https://files.test/demo"
TENANT = "11111111-1111-1111-1111-111111111111"
SUBSCRIPTION = "22222222-2222-2222-2222-222222222222"

Answer = tuple[int, dict[str, str], str | bytes]
Responder = Callable[[PreparedRequest], Answer | None]


class Endpoint:
    """Answers requests in the order in which the test gave answers for them.

    The last answer for a method and path is repeated; a request without any gets 404. None in the
    place of an answer stands for the one that was given before. What a test
    wants to happen before an answer it puts in `before`, which takes the path; one that answers for
    itself puts that in `answer`.
    """

    def __init__(self, mock: responses.RequestsMock) -> None:
        self.calls: list[str] = []
        self.before: Callable[[str], object] = lambda path: None
        self.answer: Responder | None = None
        self.requests: list[PreparedRequest] = []
        self._answers: list[
            tuple[str, re.Pattern[str], list[Answer | Exception | Responder | None]]
        ] = []
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"):
            mock.add_callback(
                method, re.compile(r"https://.*"), callback=self._respond, content_type=None
            )

    def on(
        self, method: str, path: str, *answers: int | dict | tuple[int, dict] | Exception
    ) -> None:
        """Give answers for requests whose path ends with a regular expression, case ignored."""
        pattern = re.compile(f"{path}$", re.IGNORECASE)
        self._answers.insert(0, (method, pattern, [self._answer(a) for a in answers]))

    def raw(self, method: str, path: str, *answers: Answer | Exception | None) -> None:
        """Like :meth:`on`, with status, headers and body as they are."""
        pattern = re.compile(f"{path}$", re.IGNORECASE)
        self._answers.insert(0, (method, pattern, list(answers)))

    def holds(self, path: str, *, there: bool = False) -> None:
        """Keep things that sessions may share, whose path ends with a regular expression.

        A condition on the state of one is met. With `there`, each is there from the beginning.
        """
        kept: dict[str, dict[str, str]] = defaultdict(dict) if there else {}
        json_type = {"Content-Type": "application/json"}

        def answer(request: PreparedRequest) -> Answer | None:
            name, query = urlsplit(request.url or "")[2:4]
            if "restype=directory" in query:
                return None
            of_share = "restype=share" in query
            if there:
                _ = kept[name]
            labels = _metadata(request) if of_share else _tags(request)
            if request.method == "DELETE" and kept.pop(name, None) is not None:
                return (202 if of_share else 200, {}, "")
            if request.method == "PUT" and "comp=metadata" not in query:
                status = _made_status(name, of_share=of_share, there=name in kept)
            elif name in kept:
                status = 200
            else:
                code = "ShareNotFound" if of_share else "ResourceNotFound"
                body = json.dumps({"error": {"code": code, "message": "it is not found"}})
                return (404, {"x-ms-error-code": code, **json_type}, body)
            if request.method in {"PUT", "PATCH"}:
                kept[name] = labels
            if of_share:
                return (status, {f"x-ms-meta-{k}": v for k, v in kept[name].items()}, "")
            return (status, json_type, json.dumps({"location": "eastus", "tags": kept[name]}))

        for method in ("GET", "PUT", "PATCH", "DELETE"):
            self._answers.insert(0, (method, re.compile(f"{path}$", re.IGNORECASE), [answer]))

    def made(self, method: str) -> list[str]:
        """Return the last part of the path of each request of a method, in order."""
        return [call.split("/")[-1] for call in self.calls if call.startswith(f"{method} ")]

    @staticmethod
    def _answer(answer: int | dict | tuple[int, dict] | Exception) -> Answer | Exception:
        if isinstance(answer, Exception):
            return answer
        if isinstance(answer, int):
            return (answer, {}, "")
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return (status, {"Content-Type": "application/json"}, json.dumps(body))

    def _respond(self, request: PreparedRequest) -> Answer:
        path = urlsplit(request.url or "").path
        self.calls.append(f"{request.method} {path}")
        self.requests.append(request)
        self.before(path)
        if self.answer:
            return self.answer(request)
        for method, pattern, answers in self._answers:
            if method == request.method and pattern.search(path):
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if isinstance(answer, Exception):
                    raise answer
                answer = answer(request) if callable(answer) else answer
                if answer is not None:
                    return answer
        missing = {"error": {"code": "ResourceNotFound", "message": f"{path} is not found"}}
        return (404, {"Content-Type": "application/json"}, json.dumps(missing))


def _made_status(path: str, *, of_share: bool, there: bool) -> int:
    if there:
        return 409 if of_share else 200
    return 200 if "Microsoft.BatchAI" in path else 201


def _metadata(request: PreparedRequest) -> dict[str, str]:
    start = "x-ms-meta-"
    return {
        name.lower().removeprefix(start): value
        for name, value in request.headers.items()
        if name.lower().startswith(start)
    }


def _tags(request: PreparedRequest) -> dict[str, str]:
    return json.loads(request.body or "{}").get("tags") or {}


@pytest.fixture(autouse=True)
def state_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch) -> None:
    """Keep each test's journals and profiles away from the user's."""
    state = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("BATCHAI_RECIPES_STATE_DIR", str(state))
    monkeypatch.setenv("BATCHAI_RECIPES_PROFILE_FILE", str(state / "profiles.toml"))


@pytest.fixture
def endpoint(clients_waits: list[float]) -> Iterator[Endpoint]:
    """Answer HTTP in this process, tokens included; clients that try again do so at once."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        endpoint = Endpoint(mock)
        base = f"{ENDPOINT}/{TENANT}"
        endpoint.on(
            "GET",
            "openid-configuration",
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
            },
        )
        endpoint.on(
            "POST",
            "/token",
            {"access_token": "token", "expires_in": 3600, "token_type": "Bearer"},
        )
        yield endpoint


@pytest.fixture
def settings() -> ConnectionSettings:
    """Settings of an endpoint that only answers what a test wrote down."""
    return ConnectionSettings(
        endpoint=ENDPOINT,
        tenant_id=TENANT,
        client_id="client",
        client_secret="hidden",
        subscription_id=SUBSCRIPTION,
        storage=StorageAccount("demo", "a2V5", FILES),
        authority=ENDPOINT,
    )


@pytest.fixture
def connection(endpoint: Endpoint, settings: ConnectionSettings) -> Iterator[Connection]:
    """A connection to the endpoint."""
    with Connection(settings) as connection:
        yield connection


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that moves only when somebody waits on it."""
    return VirtualClock()


@pytest.fixture
def clients_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Tell how long the Azure clients waited, in seconds; none of it passes.

    Each client asks its transport to sleep, but for that of azure-storage-file.
    """
    waited: list[float] = []
    transport = "azure.core.pipeline.transport.HttpTransport.sleep"
    monkeypatch.setattr(transport, lambda _, seconds: waited.append(seconds))
    monkeypatch.setattr("azure.storage.common.storageclient.sleep", waited.append)
    return waited


@pytest.fixture
def waits(clients_waits: list[float], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Tell how long the Azure clients waited, in seconds; nothing else may wait."""

    def refuse(seconds: float) -> None:
        raise AssertionError(f"something slept for {seconds} s")

    monkeypatch.setattr("time.sleep", refuse)
    return clients_waits
