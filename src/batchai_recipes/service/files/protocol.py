"""The HTTP protocol of the file service's listener: uvicorn's, with the case of header names kept.

Azure Files keeps the case in which a client wrote the names of metadata, which are header names,
and ASGI knows header names in lower case only. So this protocol passes the names on as they came,
in an extension of the scope. Behind another protocol the service works as well and knows metadata
names in lower case.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from batchai_recipes.service.files.call import HEADER_NAMES_EXTENSION


class HeaderCaseProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it; for ``uvicorn.Config(http=HeaderCaseProtocol)``."""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header of a request.

        Args:
            name: Its name as the client wrote it.
            value: Its value.
        """
        super().on_header(name, value)
        scope: dict[str, Any] = self.scope  # type: ignore[assignment] # a TypedDict without extensions
        names = scope.setdefault("extensions", {}).setdefault(HEADER_NAMES_EXTENSION, {})
        text = name.decode("latin-1")
        names[text.lower()] = text
