"""What jobs have written to shares and containers of other endpoints.

The service talks to no other endpoint itself. It lists what the manifest of the copy says has been
copied, and signs links with the account key that came with the volume.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from attrs import evolve, field, frozen

from batchai_recipes.service.files.sas import VERSION, service_string_to_sign
from batchai_recipes.service.files.signing import sign
from batchai_recipes.service.files.stamps import moment_of
from batchai_recipes.service.management.output_files import OutputFile, OutputLocation, parts_of
from batchai_recipes.service.state_directory import StateDirectory

_SECRETS_OF: Final = (
    "SELECT secrets FROM resources JOIN jobs USING (key) WHERE uid = ?1 "
    "UNION ALL SELECT secrets FROM resources JOIN clusters USING (key) WHERE uid = ?1"
)


def marked(
    records: sqlite3.Connection, owners: Mapping[str, tuple[str, Mapping[str, str]]]
) -> Callable[[str, Mapping[str, OutputLocation]], Mapping[str, OutputLocation]]:
    """Return what tells which of the volumes of a job and its cluster are at another endpoint.

    Args:
        records: The records.
        owners: The uid and the account keys, by mount path, of the ``job`` and the ``cluster``.
    """

    def mark(whose: str, mounts: Mapping[str, OutputLocation]) -> Mapping[str, OutputLocation]:
        owner, keys = owners[whose]
        return {
            path: location
            if _is_own(records, location.account, keys.get(path, ""))
            else evolve(location, owner=owner, mount_path=path)
            for path, location in mounts.items()
        }

    return mark


def _is_own(records: sqlite3.Connection, account: str, key: str) -> bool:
    row = records.execute(
        "SELECT 1 FROM accounts WHERE name = ? AND ? IN (key1, key2)", (account, key)
    ).fetchone()
    return row is not None


@frozen
class RemoteOutput:
    """A share or a container that a job wrote to.

    Args:
        place: Its ``kind``, ``account``, ``endpoint`` and ``name``.
        key: The account's key; empty when the cluster it came with is gone.
        manifest: The sizes and times of the files that it has, or had, by path.
        directories: Its directories.
    """

    place: Mapping[str, str]
    key: str = field(repr=False)
    manifest: Mapping[str, list[Any]] = field(repr=False)
    directories: tuple[str, ...] = field(repr=False)

    @classmethod
    def load(
        cls, records: sqlite3.Connection, state: StateDirectory, location: OutputLocation
    ) -> "RemoteOutput | None":
        """Read what is known of a volume, or return None when nothing is (yet, or any more).

        Args:
            records: The records.
            state: Where the copy lies.
            location: The output directory in question.
        """
        folder = state.volume_copy(location.owner, location.mount_path)
        row = records.execute(_SECRETS_OF, (location.owner,)).fetchone()
        keys = json.loads(row["secrets"]).get("accountKeys", {}) if row else {}
        try:
            place, manifest = _document(folder / "place.json"), _document(folder / "manifest.json")
            files, directories = manifest["files"], tuple(manifest["directories"])
        except (FileNotFoundError, KeyError, ValueError):
            return None
        return cls(place, keys.get(location.mount_path, ""), files, directories)

    def files(self, path: str, directory: str) -> list[OutputFile]:
        """Return what is in a directory of the volume, in the order of names.

        Args:
            path: The output directory.
            directory: The directory below it, '.' for itself.
        """
        prefix = "".join(f"{part}/" for part in (*parts_of(path), *parts_of(directory)))
        found: dict[str, OutputFile] = {}
        nothing = moment_of(0)
        for inside in (name for name in self.directories if name.startswith(prefix)):
            name = inside[len(prefix) :].partition("/")[0]
            if name:
                found[name] = OutputFile(name, None, nothing, 0)
        for inside, entry in self.manifest.items():
            name = inside[len(prefix) :]
            if inside.startswith(prefix) and "/" not in name:
                written = moment_of(int(entry[1])).replace(microsecond=0)
                found[name] = OutputFile(name, inside, written, int(entry[0]))
        return sorted(found.values(), key=lambda file: file.name)

    def url(self, path: str, expires_at: datetime) -> str:
        """Return a URL that lets anyone who has it read one file until a time.

        Args:
            path: The file's path in the volume.
            expires_at: When the URL stops working, aware.

        Source:
            https://learn.microsoft.com/rest/api/storageservices/create-service-sas
        """
        is_file = self.place["kind"] == "files"
        fields = {
            "sv": VERSION,
            "sr": "f" if is_file else "b",
            "se": expires_at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "sp": "r",
        }
        service = "file" if is_file else "blob"
        resource = f"/{service}/{self.place['account']}/{self.place['name']}/{path}"
        text = service_string_to_sign(fields, resource)
        if not is_file:
            # Signatures for blobs tell the kind of the resource and its snapshot as well.
            before, version, after = text.partition(f"\n{VERSION}\n")
            text = f"{before}{version}b\n\n{after}"
        query = urlencode({**fields, "sig": sign(self.key, text)})
        return f"{self.place['endpoint']}/{self.place['name']}/{quote(path)}?{query}"


def _document(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
