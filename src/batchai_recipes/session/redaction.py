"""Keeping secrets out of whatever a session writes or says."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import parse_qsl, urlsplit

HIDDEN: Final = "<secret>"
"""What stands in the place of a secret."""

_SHORTEST_INSIDE_WORDS: Final = 4
_SHORTEST_IN_BASE64: Final = 6
_BASE64_GROUP: Final = 3
# Signatures are made on the way, so no list of secrets can name them; tokens likewise.
_UNLISTED: Final = re.compile(
    r"(?i)((?<![a-z])(?:sig(?:=|%(?:25)?3D)|(?:AccountKey|SharedKey)=|Bearer ))[^&;\s\"'<>]+"
)


class Redaction:
    """Replaces secrets in texts and documents: as they are, in base64, URL-encoded, JSON-escaped.

    The signatures of SAS links, account keys of connection strings and bearer tokens are replaced
    too, whether they are known or not.

    Args:
        secrets: The secrets; empty ones are ignored.

    Example:
        >>> redaction = Redaction(["pa/ss word"])
        >>> redaction.text("a pa/ss word, pa%2Fss+word, https://host/file?sp=r&sig=abc%3D&se=1")
        'a <secret>, <secret>, https://host/file?sp=r&sig=<secret>&se=1'
        >>> redaction.document({"user": "me", "key": ["pa/ss word"]})
        {'user': 'me', 'key': ['<secret>']}
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._listed: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Learn of more secrets.

        Args:
            secrets: The secrets; empty ones are ignored.
        """
        new = {secret for secret in secrets if secret.strip()} - self._secrets
        if new:
            self._secrets |= new
            # The longest first, so that no part of one is left where another is inside it.
            ordered = sorted(self._secrets, key=len, reverse=True)
            forms = [form for secret in ordered for form in _forms(secret)]
            self._listed = re.compile("|".join(forms))

    def text(self, text: str) -> str:
        """Return a text without the secrets.

        Args:
            text: The text.
        """
        if self._listed:
            text = self._listed.sub(HIDDEN, text)
        return _UNLISTED.sub(rf"\1{HIDDEN}", text)

    def document(self, document: object) -> object:
        """Return a JSON document without the secrets in its texts.

        Args:
            document: Dictionaries, lists, texts, numbers, truth values and None, nested.
        """
        if isinstance(document, str):
            return self.text(document)
        if isinstance(document, dict):
            return {self.text(str(k)): self.document(v) for k, v in document.items()}
        if isinstance(document, (list, tuple)):
            return [self.document(value) for value in document]
        return document


def secrets_in(value: object) -> Iterator[str]:
    """Yield the secrets that builders, settings and stagings hold.

    Every field that is left out of its value's representation counts as one. Of an address that is
    secret it is what may be: its user's part and the values of its query.

    Args:
        value: A value of attrs, a collection of such, or anything else, which holds none.

    Example:
        >>> from batchai_recipes import StorageAccount
        >>> list(secrets_in([StorageAccount("demo", "a2V5", "https://files.test")]))
        ['a2V5']
    """
    if isinstance(value, dict):
        for one in value.values():
            yield from secrets_in(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from secrets_in(one)
    else:
        for field in getattr(type(value), "__attrs_attrs__", ()):
            inner = getattr(value, field.name)
            if field.repr is False:
                yield from _texts(inner, field.name)
            else:
                yield from secrets_in(inner)


def _texts(value: object, name: str) -> Iterator[str]:
    if isinstance(value, str):
        yield from _of_address(value) if "://" in value else (value,)
    elif isinstance(value, (list, tuple)):
        # Variables are pairs of a name, which is not secret, and a value.
        pairs = all(isinstance(one, tuple) and len(one) == 2 for one in value)  # noqa: PLR2004 - a pair
        for one in value:
            yield from _texts(one[1] if pairs else one, name)


def _of_address(address: str) -> Iterator[str]:
    parts = urlsplit(address)
    user = parts.netloc.rpartition("@")[0]
    yield from filter(None, (user, user.partition(":")[2]))
    for _, value in parse_qsl(parts.query, keep_blank_values=False):
        if len(value) >= _SHORTEST_IN_BASE64:
            yield value
    yield address


def _forms(secret: str) -> Iterator[str]:
    """Yield patterns of the forms in which a secret may be written."""
    letters = "".join(map(_letter, secret))
    if len(secret) < _SHORTEST_INSIDE_WORDS:
        letters = rf"(?<![\w]){letters}(?![\w])"
    if len(secret) >= _SHORTEST_IN_BASE64:
        # First, since a plain form would leave the rest of a longer encoded text.
        yield from _base64_cores(secret)
    yield letters


def _letter(letter: str) -> str:
    """Return a pattern of one character: plain, URL-encoded once or twice, or JSON-escaped."""
    encoded = letter.encode("utf-8", "surrogatepass")
    percent = "".join(f"%(?:25)?(?i:{byte:02x})" for byte in encoded)
    escaped = json.dumps(letter)[1:-1]
    forms = {re.escape(letter), percent, re.escape(escaped), re.escape(json.dumps(escaped)[1:-1])}
    if letter == " ":
        forms.add(r"\+")
    return f"(?:{'|'.join(sorted(forms, key=len, reverse=True))})"


def _base64_cores(secret: str) -> Iterator[str]:
    """Yield patterns of base64 that holds the secret, at each of the three ways it may be cut."""
    raw = secret.encode("utf-8", "surrogatepass")
    for before in range(_BASE64_GROUP):
        whole = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        # The first characters also depend on what comes before, the last on what comes after.
        start = -(-before * 8 // 6)
        end = (before + len(raw)) * 8 // 6
        core = whole[start:end]
        yield "".join(_base64_letter(letter) for letter in core) + r"[A-Za-z0-9+/_-]{0,2}={0,2}"


def _base64_letter(letter: str) -> str:
    """Return a pattern of one character in either alphabet of base64, URL-encoded or not."""
    return {"+": r"(?:[+-]|%2[Bb])", "/": r"(?:[/_]|%2[Ff])"}.get(letter, letter)
