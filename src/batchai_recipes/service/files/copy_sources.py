"""The files that a request names by URL: what it copies from, and what it renames.

Only files of this service can be named. They are found by their address; nothing is ever fetched,
so that no request can make the service speak to another host.
"""

from typing import Final
from urllib.parse import SplitResult, urlsplit

from attrs import evolve, frozen

from batchai_recipes.service.files.addressing import Address, resolve, snapshot_time
from batchai_recipes.service.files.authentication import AuthenticationChain
from batchai_recipes.service.files.bearer import INTENT
from batchai_recipes.service.files.call import AdmittedCall, Call
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError, invalid_header
from batchai_recipes.service.files.grants import AccountKeyGrant, Needs, Noun, TokenGrant
from batchai_recipes.service.files.paths import Location

AUTHORIZATION: Final = "x-ms-copy-source-authorization"
_PORTS: Final = {"http": 80, "https": 443}


@frozen
class CopySources:
    """Finds files that are named by URL, and who may use them.

    Args:
        chain: Finds out what a signature in the URL permits.
    """

    chain: AuthenticationChain

    def locate(
        self, admitted: AdmittedCall, header: str, letters: str, *, noun: Noun = "file"
    ) -> Location:
        """Return where a file lies that a header of a request names.

        Args:
            admitted: The request.
            header: The header's name in lower case.
            letters: The permissions of a SAS, any one of which is enough.
            noun: What it must be.

        Raises:
            FileServiceError: It is no file of this service, or the sender may not use it.
        """
        url = admitted.call.header(header)
        authorization = _authorization(admitted.call)
        try:
            parts = urlsplit(url)
            raw_path = parts.path.encode("latin-1", "replace")
            address = resolve(parts.hostname or "", raw_path)
            own = _is_own(admitted.call, parts)
            named = admitted.call.naming(raw_path, parts.query, authorization)
            snapshot = named.parameter("sharesnapshot")
            if snapshot:
                address = evolve(address, snapshot=snapshot_time(snapshot))
        except (FileServiceError, ValueError) as error:
            raise _refused(header, url) from error
        if not own:
            raise _refused(header, url)
        if address.snapshot and "r" not in letters:
            raise FileServiceError(
                ErrorCode.SHARE_SNAPSHOT_OPERATION_NOT_SUPPORTED,
                "What is in a snapshot stays there; copy it instead.",
            )
        self._authorize(admitted, named, address, Needs(noun, "o", letters))
        return address.location

    def _authorize(
        self, admitted: AdmittedCall, named: Call, address: Address, needs: Needs
    ) -> None:
        if named.parameter("sig") or named.headers:
            self.chain.authenticate(named, address).check(needs)
            return
        same_account = address.account == admitted.address.account
        if not (same_account and isinstance(admitted.grant, AccountKeyGrant | TokenGrant)):
            raise FileServiceError(
                ErrorCode.CANNOT_VERIFY_COPY_SOURCE,
                "The sender is not known to be allowed to use the source; put a SAS into its URL.",
            )


def _authorization(call: Call) -> dict[str, str]:
    """Return the headers that go with a token for the source; none where there is no token."""
    token = call.headers.get(AUTHORIZATION)
    if token is None:
        return {}
    # A signature with a key is one of a request, and the request for the source is never sent.
    if token.partition(" ")[0].lower() != "bearer":
        raise invalid_header(
            AUTHORIZATION,
            "",  # it may be a secret
            "it must read 'Bearer TOKEN'; without a token, put a SAS into the source's URL",
        )
    kept = {name: call.headers[name] for name in ("x-ms-version", INTENT) if name in call.headers}
    return {"authorization": token, **kept}


def _is_own(call: Call, parts: SplitResult) -> bool:
    if parts.scheme not in _PORTS:
        return False
    asked = urlsplit(f"{call.scheme}://{call.headers.get('host', '')}")
    # The account may stand in the host name; the port is the same.
    host, other = parts.hostname or "", asked.hostname or ""
    # In host style, the account is the first label, and may be another one.
    styled = ".file." in host and host.partition(".")[2] == other.partition(".")[2]
    port = parts.port or _PORTS[parts.scheme]
    same_port = port == (asked.port or _PORTS[call.scheme])
    return bool(host) and (host == other or styled) and same_port


def _refused(header: str, url: str) -> FileServiceError:
    return invalid_header(
        header,
        url.partition("?")[0],  # a signature stays out of the answer
        "it must be the URL of a file of this very service, which fetches nothing from elsewhere",
    )
