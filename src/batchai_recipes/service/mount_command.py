"""The mount commands of unmanaged file systems that a directory of this machine can stand for.

Batch AI ran the command on each node as root and added the mount path at its end. Here no command
is run: where it binds a directory, that directory is mounted; every other one is refused.
"""

import shlex
from pathlib import PurePosixPath

from attrs import field, frozen

from batchai_recipes.service.mount_options import MountOptions, parse_mount_options

_SHORT = {
    "--bind": "bind",
    "-B": "bind",
    "--rbind": "rbind",
    "-R": "rbind",
    "-r": "ro",
    "--read-only": "ro",
    "-w": "rw",
    "--rw": "rw",
}
_INSTEAD = (
    "this service runs no mount commands, it mounts directories of its own machine only: write "
    "'mount --bind /path/of/a/directory' (and '-o ro' to forbid writing), with what you need "
    "mounted there beforehand"
)


@frozen
class BoundDirectory:
    """A directory of this machine to mount.

    Args:
        path: The directory, absolute.
        options: How.
    """

    path: str
    options: MountOptions = field(factory=MountOptions)


def bound_directory(command: str) -> BoundDirectory:
    """Read which directory a mount command binds.

    Args:
        command: The command, without the mount path.

    Raises:
        ValueError: It does something else; the message says what to write instead.

    Example:
        >>> bound_directory("mount --bind -o ro /data/images")
        BoundDirectory(path='/data/images', options=MountOptions(read_only=True, ignored=()))
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"it cannot be read ({error}): {_INSTEAD}") from error
    if words and words[0] == "sudo":
        words = words[1:]
    if not words or PurePosixPath(words[0]).name != "mount":
        raise ValueError(f"it does not begin with 'mount': {_INSTEAD}")
    return _bound(words[1:])


def _bound(words: list[str]) -> BoundDirectory:
    kind, options, sources = _sorted_out(words)
    if not {"bind", "rbind"}.intersection(options):
        what = f"a file system of the type {kind!r}" if kind else "a file system"
        source = f" of {sources[0]!r}" if sources else ""
        raise ValueError(f"it mounts {what}{source}: {_INSTEAD}")
    if kind not in {"", "none"}:
        raise ValueError(f"it binds a directory and names the type {kind!r} as well: {_INSTEAD}")
    if len(sources) != 1:
        raise ValueError(f"it names {len(sources)} directories instead of one: {_INSTEAD}")
    path = PurePosixPath(sources[0])
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{sources[0]!r} is no absolute path without '..': {_INSTEAD}")
    plain = [option for option in options if option not in {"bind", "rbind"}]
    return BoundDirectory(str(path), parse_mount_options(",".join(plain)))


def _sorted_out(words: list[str]) -> tuple[str, list[str], list[str]]:
    """Return the type of the file system, the options, and what is to be mounted."""
    kind, options, sources = "", [], []
    rest = iter(words)
    for word in rest:
        if word in _SHORT:
            options.append(_SHORT[word])
        elif word in {"-t", "--types"}:
            kind = next(rest, "")
        elif word in {"-o", "--options"}:
            options += next(rest, "").split(",")
        elif word.startswith("-o"):
            options += word[2:].split(",")
        elif word.startswith("-"):
            raise ValueError(f"its option {word!r} is not known here: {_INSTEAD}")
        else:
            sources.append(word)
    return kind, options, sources
