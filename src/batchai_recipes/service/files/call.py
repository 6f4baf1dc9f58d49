"""One request as it came over the wire, before anyone has decided what it means."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from attrs import evolve, field, frozen

from batchai_recipes.service.files.addressing import Address
from batchai_recipes.service.files.body import Content
from batchai_recipes.service.files.errors import invalid_header, missing_header
from batchai_recipes.service.files.grants import Grant

OLDEST_VERSION: Final = "2015-02-21"
NEWEST_KNOWN_VERSION: Final = "2026-10-06"

_VERSION = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


@frozen
class Call:
    """One request.

    Args:
        request_id: The service's own id of it.
        verb: The HTTP method.
        raw_path: The path as sent, without the query: what clients sign.
        parameters: The query: names in lower case and decoded values, in the order sent.
        first: The first value of each parameter of the query.
        headers: The headers by lower-case name; repeated ones joined by commas.
        header_names: How the client wrote a header's name, by lower-case name.
        scheme: ``http`` or ``https``.
        client_ip: Where it comes from.
        body: The request's body, once read; good while the request is carried out.
    """

    request_id: str
    verb: str
    raw_path: bytes
    parameters: tuple[tuple[str, str], ...] = field(repr=False)  # may hold a signature
    first: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    header_names: Mapping[str, str] = field(repr=False)
    scheme: str
    client_ip: str
    body: Content = field(default=b"", repr=False)

    @classmethod
    def of(
        cls,
        verb: str,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        scheme: str,
        client_ip: str,
    ) -> "Call":
        """Take a request from the web server.

        Args:
            verb: The HTTP method.
            target: The path and query as sent; an address with scheme and host, as for a proxy,
                counts for the path and query in it.
            headers: Names and values as sent.
            scheme: ``http`` or ``https``.
            client_ip: Where it comes from.
        """
        if not target.startswith(b"/"):
            target = _origin_form(target)
        raw_path, _, query = target.partition(b"#")[0].partition(b"?")
        parameters, first = _parameters(query)
        joined: dict[str, str] = {}
        names: dict[str, str] = {}
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1").strip()
            lower = name.lower()
            names[lower] = name
            joined[lower] = f"{joined[lower]},{value}" if lower in joined else value
        return cls(
            request_id=str(uuid4()),
            verb=verb,
            raw_path=raw_path,
            parameters=parameters,
            first=first,
            headers=joined,
            header_names=names,
            scheme=scheme,
            client_ip=client_ip,
        )

    def naming(self, raw_path: bytes, query: str, headers: Mapping[str, str]) -> "Call":
        """Return the request to read a file that this one names by URL, from the same client.

        Args:
            raw_path: The path in that URL.
            query: The query in it, which may hold a signature.
            headers: What comes with it, by lower-case name.
        """
        parameters, first = _parameters(query.encode("latin-1", "replace"))
        return evolve(
            self,
            verb="GET",
            raw_path=raw_path,
            parameters=parameters,
            first=first,
            headers=headers,
            header_names={name: name for name in headers},
        )

    @property
    def cased_headers(self) -> list[tuple[str, str]]:
        """The headers, names as the client wrote them."""
        return [(self.header_names[name], value) for name, value in self.headers.items()]

    def parameter(self, name: str) -> str:
        """Return the first value of a query parameter, or an empty text.

        Args:
            name: Its name in lower case.
        """
        return self.first.get(name, "")

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
        return _checked_version(version)


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
    def body(self) -> Content:
        """The request's body."""
        return self.call.body


# Clients ask with few different queries, and some of them thousands of times with one.
@lru_cache(maxsize=256)
def _parameters(query: bytes) -> tuple[tuple[tuple[str, str], ...], Mapping[str, str]]:
    # Blank values count: one of Azure's clients signs them.
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    parameters = tuple((name.lower(), value) for name, value in pairs)
    return parameters, dict(reversed(parameters))


@lru_cache(maxsize=64)
def _checked_version(version: str) -> str:
    if not _VERSION.fullmatch(version) or version < OLDEST_VERSION:
        raise invalid_header(
            "x-ms-version", version, f"use a date such as {OLDEST_VERSION} or a later one"
        )
    return version


def _origin_form(target: bytes) -> bytes:
    try:
        parts = urlsplit(target)
    except ValueError:
        return b"/"
    return (parts.path or b"/") + (b"?" + parts.query if parts.query else b"")
