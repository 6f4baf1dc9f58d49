"""One request as it came over the wire, before anyone has decided what it means."""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl
from uuid import uuid4

from attrs import field, frozen
from starlette.types import Scope

from batchai_recipes.service.files.addressing import Address
from batchai_recipes.service.files.errors import invalid_header, missing_header
from batchai_recipes.service.files.grants import Grant

OLDEST_VERSION: Final = "2015-02-21"
NEWEST_KNOWN_VERSION: Final = "2026-10-06"
# Where `HeaderCaseProtocol` leaves the header names as the client wrote them.
HEADER_NAMES_EXTENSION: Final = "batchai_recipes.header_names"

_VERSION = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


@frozen
class Call:
    """One request.

    Args:
        request_id: The service's own id of it.
        verb: The HTTP method.
        raw_path: The path as sent, without the query: what clients sign.
        parameters: The query: names in lower case and decoded values, in the order sent.
        headers: The headers by lower-case name; repeated ones joined by commas.
        header_names: How the client wrote a header's name, by lower-case name, where known.
        scheme: ``http`` or ``https``.
        client_ip: Where it comes from.
        body: The request's body, once read.
    """

    request_id: str
    verb: str
    raw_path: bytes
    parameters: tuple[tuple[str, str], ...] = field(repr=False)  # may hold a signature
    headers: Mapping[str, str] = field(repr=False)
    header_names: Mapping[str, str] = field(repr=False)
    scheme: str
    client_ip: str
    body: bytes = field(default=b"", repr=False)

    @classmethod
    def from_scope(cls, scope: Scope) -> "Call":
        """Take a request from the web server.

        Args:
            scope: The ASGI scope.
        """
        client = scope.get("client")
        names: Iterable[tuple[bytes, bytes]] = scope["headers"]
        query: bytes = scope["query_string"]
        return cls(
            request_id=str(uuid4()),
            verb=scope["method"],
            raw_path=scope["raw_path"],
            # Blank values count: one of Azure's clients signs them.
            parameters=tuple(
                (name.lower(), value)
                for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True)
            ),
            headers=_joined(names),
            header_names=scope.get("extensions", {}).get(HEADER_NAMES_EXTENSION, {}),
            scheme=scope["scheme"],
            client_ip=client[0] if client else "",
        )

    @property
    def cased_headers(self) -> list[tuple[str, str]]:
        """The headers, names as the client wrote them where the web server tells."""
        return [(self.header_names.get(name, name), value) for name, value in self.headers.items()]

    def parameter(self, name: str) -> str:
        """Return the first value of a query parameter, or an empty text.

        Args:
            name: Its name in lower case.
        """
        return next((value for other, value in self.parameters if other == name), "")

    def header(self, name: str) -> str:
        """Return the value of a header.

        Args:
            name: Its name in lower case.

        Raises:
            FileServiceError: The request does not have it.
        """
        value = self.headers.get(name)
        if value is None:
            raise missing_header(name)
        return value

    @property
    def version(self) -> str:
        """The version of the protocol that the client speaks.

        Any well-formed version is accepted, later ones than this release knows included: only what
        an old client would not understand is held back from it.

        Raises:
            FileServiceError: It is missing, no version, or too old.
        """
        # A URL with a SAS works in any browser; the version is then the signature's.
        version = self.headers.get("x-ms-version") or self.parameter("sv")
        if not version:
            raise missing_header("x-ms-version")
        if not _VERSION.fullmatch(version) or version < OLDEST_VERSION:
            raise invalid_header(
                "x-ms-version", version, f"use a date such as {OLDEST_VERSION} or a later one"
            )
        return version


@frozen
class AdmittedCall:
    """A request that may be carried out.

    Args:
        call: The request.
        address: What it is about.
        grant: What its signature permits.
    """

    call: Call
    address: Address
    grant: Grant

    @property
    def endpoint(self) -> str:
        """The account's address as the client wrote it."""
        base = f"{self.call.scheme}://{self.call.headers.get('host', '')}/"
        return base if self.address.style == "host" else f"{base}{self.address.account}/"

    @property
    def body(self) -> bytes:
        """The request's body."""
        return self.call.body


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1").strip()
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
