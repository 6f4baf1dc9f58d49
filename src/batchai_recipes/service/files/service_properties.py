"""What clients set of an account's file service: metrics, cross-origin rules, SMB settings.

All of it is kept and given back; of it, the cross-origin rules are obeyed, since browsers ask for
them. A section that a client does not send stays as it was.

Source:
    https://learn.microsoft.com/rest/api/storageservices/set-file-service-properties
    https://learn.microsoft.com/rest/api/storageservices/cross-origin-resource-sharing--cors--support-for-the-azure-storage-services
"""

import json
import re
from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

from attrs import frozen

from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.xml_input import invalid_document, read_xml
from batchai_recipes.service.remembered import Remembered
from batchai_recipes.service.store import Store

ROOT: Final = "StorageServiceProperties"
MOST_RULES: Final = 5
_LONGEST_RETENTION_DAYS: Final = 365
_DIGITS: Final = 9
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "MERGE", "OPTIONS", "PATCH", "POST", "PUT"})
_METRICS: Final = (
    "<{0}><Version>1.0</Version><Enabled>false</Enabled>"
    "<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></{0}>"
)
# Some clients fail where the SMB settings are missing, although nothing here speaks SMB.
_DEFAULTS: Final = {
    "HourMetrics": _METRICS.format("HourMetrics"),
    "MinuteMetrics": _METRICS.format("MinuteMetrics"),
    "Cors": "<Cors />",
    "ProtocolSettings": (
        "<ProtocolSettings><SMB><Multichannel><Enabled>false</Enabled></Multichannel></SMB>"
        "</ProtocolSettings>"
    ),
}


@frozen
class CorsRule:
    """One cross-origin rule.

    Args:
        origins: Which pages may ask; ``*`` for all.
        methods: By which methods.
        headers: Which headers they may send; a name may end in ``*``.
        exposed: Which headers they may read.
        max_age: For how many seconds a browser may remember this; as text.
    """

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age: str

    @classmethod
    def of(cls, element: Element) -> "CorsRule":
        """Read a rule.

        Args:
            element: The element ``CorsRule``.
        """

        def names(tag: str) -> tuple[str, ...]:
            text = element.findtext(tag) or ""
            return tuple(name.strip() for name in text.split(",") if name.strip())

        return cls(
            names("AllowedOrigins"),
            tuple(method.upper() for method in names("AllowedMethods")),
            names("AllowedHeaders"),
            names("ExposedHeaders"),
            (element.findtext("MaxAgeInSeconds") or "").strip(),
        )

    def admits(self, origin: str, method: str, headers: tuple[str, ...] = ()) -> bool:
        """Tell whether a page may send a request.

        Args:
            origin: The page's origin.
            method: The request's method.
            headers: The names of its headers.
        """
        return (
            any(_is_origin(origin, allowed) for allowed in self.origins)
            and method in self.methods
            and all(any(_is_header(name, allowed) for allowed in self.headers) for name in headers)
        )


class ServiceProperties:
    """The properties of the file services of all accounts.

    Args:
        store: Where they are recorded.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rules = Remembered(store, self._load_rules)

    def document(self, account: str) -> bytes:
        """Return the properties of an account's file service, in XML.

        Args:
            account: The storage account.
        """
        root = Element(ROOT)
        for name, default in _DEFAULTS.items():
            root.append(fromstring(self._sections(account).get(name, default)))  # noqa: S314 - ours
        smb = root.find("ProtocolSettings/SMB")
        if smb is not None and smb.find("Multichannel") is None:
            SubElement(SubElement(smb, "Multichannel"), "Enabled").text = "false"
        document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
        return document

    def set(self, account: str, body: bytes) -> None:
        """Replace the sections of the properties that a document has.

        Args:
            account: The storage account.
            body: The document.

        Raises:
            FileServiceError: It is no such document.
        """
        root = read_xml(body, ROOT)
        sections = {element.tag: element for element in root if element.tag in _DEFAULTS}
        for element in sections.values():
            _check_section(element)
        texts = {name: tostring(element, encoding="unicode") for name, element in sections.items()}
        with self._store.write() as records:
            row = records.execute(
                "SELECT properties FROM file_services WHERE account = ?", (account,)
            ).fetchone()
            kept = json.loads(row["properties"]) if row is not None else {}
            records.execute(
                "INSERT OR REPLACE INTO file_services (account, properties) VALUES (?, ?)",
                (account, json.dumps({**kept, **texts})),
            )

    def rules(self, account: str) -> tuple[CorsRule, ...]:
        """Return the cross-origin rules of an account; none where there is no such account.

        Args:
            account: The storage account.
        """
        return self._rules(account)

    def _sections(self, account: str) -> Mapping[str, str]:
        row = self._store.one("SELECT properties FROM file_services WHERE account = ?", (account,))
        sections: Mapping[str, str] = json.loads(row["properties"]) if row is not None else {}
        return sections

    def _load_rules(self, account: str) -> tuple[CorsRule, ...]:
        text = self._sections(account).get("Cors", _DEFAULTS["Cors"])
        return tuple(CorsRule.of(element) for element in fromstring(text))  # noqa: S314 - ours


def _check_section(element: Element) -> None:
    if element.tag in {"HourMetrics", "MinuteMetrics"}:
        _check_metrics(element)
    elif element.tag == "Cors":
        rules = element.findall("CorsRule")
        if len(rules) > MOST_RULES:
            raise invalid_document(ROOT, f"there are at most {MOST_RULES} cross-origin rules")
        for rule in map(CorsRule.of, rules):
            _check_rule(rule)


def _check_metrics(element: Element) -> None:
    enabled = _flag(element, "Enabled")
    if (element.findtext("Version") or "").strip() != "1.0":
        raise _invalid_value(f"{element.tag} has the Version 1.0")
    if enabled:
        _flag(element, "IncludeAPIs")
    if element.find("RetentionPolicy") is not None and _flag(element, "RetentionPolicy/Enabled"):
        days = _number(element.findtext("RetentionPolicy/Days"))
        if not 1 <= days <= _LONGEST_RETENTION_DAYS:
            raise _invalid_value(f"Days is 1 to {_LONGEST_RETENTION_DAYS}")


def _check_rule(rule: CorsRule) -> None:
    if not rule.origins or not rule.methods:
        raise _invalid_value("a cross-origin rule needs AllowedOrigins and AllowedMethods")
    if not set(rule.methods) <= _METHODS:
        raise _invalid_value(f"AllowedMethods are of {', '.join(sorted(_METHODS))}")
    if _number(rule.max_age) < 0:
        raise _invalid_value("MaxAgeInSeconds is a whole number of seconds")


def _flag(element: Element, path: str) -> bool:
    text = (element.findtext(path) or "").strip().lower()
    if text not in {"true", "false"}:
        raise _invalid_value(f"{element.tag}/{path} is true or false")
    return text == "true"


def _number(text: str | None) -> int:
    bare = (text or "").strip()
    return int(bare) if bare.isascii() and bare.isdigit() and len(bare) <= _DIGITS else -1


def _is_origin(origin: str, allowed: str) -> bool:
    pattern = ".*".join(map(re.escape, allowed.split("*")))
    return re.fullmatch(pattern, origin) is not None


def _is_header(name: str, allowed: str) -> bool:
    if allowed.endswith("*"):
        return name.lower().startswith(allowed[:-1].lower())
    return name.lower() == allowed.lower()


def _invalid_value(reason: str) -> FileServiceError:
    return FileServiceError(
        ErrorCode.INVALID_XML_NODE_VALUE, f"The document {ROOT} cannot be used: {reason}."
    )
