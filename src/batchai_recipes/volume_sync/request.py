"""What this program is asked to do: a file that holds keys, and is gone once it has been read."""

import json
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen

Kind = Literal["files", "blobs"]
Action = Literal["copy-in", "copy-back", "follow"]

REQUEST_FILE = "request.json"
RESULT_FILE = "result.json"
FINISH_FILE = "finish"
LISTENING_FILE = "listening"


class RequestError(Exception):
    """The request is missing or malformed; the message says which."""


@frozen
class VolumeRequest:
    """One volume to copy.

    Args:
        kind: Whether it is a file share or a blob container.
        title: Its relative mount path, for messages.
        account: The storage account.
        endpoint: The URL of the account's file or blob service.
        name: The share or container.
        key: The account's key, base64; never shown.
        folder: Where the copy, its manifest and its lock lie.
        read_only: Whether nothing is ever copied back.
        file_mode: The permission bits of files.
        directory_mode: The permission bits of directories.
    """

    kind: Kind
    title: str
    account: str
    endpoint: str
    name: str
    key: str = field(repr=False)
    folder: Path = field(converter=Path)
    read_only: bool = False
    file_mode: int = 0o777
    directory_mode: int = 0o777

    def __str__(self) -> str:
        """Say which volume it is."""
        noun = "share" if self.kind == "files" else "container"
        return f"volume {self.title!r} ({noun} {self.name!r} of account {self.account!r})"


@frozen
class SyncRequest:
    """What to do with some volumes.

    Args:
        action: ``copy-in``, ``copy-back`` once, or ``follow``: copy back again and again until the
            file ``finish`` lies beside the request, then a last time. Once there is a file
            ``listening``, SIGTERM has it look at once.
        volumes: The volumes.
        log: The file that gets a line about each copy; empty for none.
        notes: Lines for the log, written first.
        interval_seconds: How long to wait, at least, between two rounds of ``follow``.
        patience_seconds: How long a last copy back tries again while an endpoint is out of reach.
    """

    action: Action
    volumes: tuple[VolumeRequest, ...]
    log: str = ""
    notes: tuple[str, ...] = ()
    interval_seconds: float = 2.0
    patience_seconds: float = 300.0


def take_request(folder: Path) -> SyncRequest:
    """Read the request and remove it.

    Args:
        folder: The folder that holds it.

    Raises:
        RequestError: It is missing or malformed.
    """
    path = folder / REQUEST_FILE
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
        volumes = tuple(VolumeRequest(**volume) for volume in document.pop("volumes"))
        document["notes"] = tuple(document.get("notes", ()))
        return SyncRequest(volumes=volumes, **document)
    except OSError as error:
        raise RequestError(f"The request cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        # What it held may be a key, so it stays out of the message.
        raise RequestError("The request is malformed") from error
