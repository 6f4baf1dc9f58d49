"""What a copy and its remote volume had in common when they were last compared."""

import json
import os
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from batchai_recipes.volume_sync.copy_folder import Stamp


@frozen
class Entry:
    """A file that was alike on both sides.

    Args:
        stamp: The local file's stamp at that time.
        version: The remote file's version at that time.
    """

    stamp: Stamp
    version: str


@define
class Manifest:
    """The files and directories that both sides have, or had.

    Args:
        files: The files, by path.
        directories: The directories.
    """

    files: dict[str, Entry] = field(factory=dict)
    directories: set[str] = field(factory=set)

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read a manifest; an empty one where there is none, or a damaged one.

        Args:
            path: The file.
        """
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            files = {
                name: Entry(Stamp(*map(int, values[:3])), str(values[3]))
                for name, values in document["files"].items()
            }
            return cls(files, set(document["directories"]))
        except (AttributeError, IndexError, KeyError, OSError, TypeError, ValueError):
            # Without it nothing is deleted, and each file is compared with its remote one by time.
            return cls()

    def copied(self) -> "Manifest":
        """Return another manifest with the same content."""
        return Manifest(dict(self.files), set(self.directories))

    def save(self, path: Path) -> None:
        """Write the manifest, all or nothing.

        Args:
            path: The file.

        Raises:
            OSError: It cannot be written.
        """
        document = {
            "files": {
                name: [e.stamp.size, e.stamp.modified_ns, e.stamp.inode, e.version]
                for name, e in self.files.items()
            },
            "directories": sorted(self.directories),
        }
        temporary = path.with_name(f".{path.name}.tmp")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
