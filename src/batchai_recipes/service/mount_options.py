"""Mount options as users write them: ``ro``, ``-o ro,vers=4.1``, ``--read-only=true``."""

import shlex

from attrs import frozen

_READ_ONLY = {"ro", "read-only", "readonly", "r"}
_READ_WRITE = {"rw", "w"}
# What the volumes of this service do anyway.
_DEFAULTS = {"defaults", "auto", "_netdev", "nofail", "allow_other", "nonempty"}


@frozen
class MountOptions:
    """What mount options ask for.

    Args:
        read_only: Whether nothing may be written.
        ignored: Those that have no meaning here, as they were written.
    """

    read_only: bool = False
    ignored: tuple[str, ...] = ()


def parse_mount_options(text: str) -> MountOptions:
    """Read mount options, those of ``mount`` and of blobfuse alike.

    Args:
        text: The options, with or without ``-o`` before them.

    Raises:
        ValueError: A quotation mark has no other one.

    Example:
        >>> parse_mount_options("-o ro,vers=4.1")
        MountOptions(read_only=True, ignored=('vers=4.1',))
        >>> parse_mount_options("--file-cache-timeout-in-seconds=120 -o allow_other")
        MountOptions(read_only=False, ignored=('--file-cache-timeout-in-seconds=120',))
    """
    read_only, ignored = False, []
    for word in shlex.split(text):
        if word in {"-o", "--options"}:
            continue
        for option in word.removeprefix("-o").split(","):
            name, _, value = option.lstrip("-").partition("=")
            if name.lower() in _READ_ONLY and value.lower() in {"", "true"}:
                read_only = True
            elif name.lower() in _READ_WRITE:
                read_only = False
            elif option and name.lower() not in _DEFAULTS:
                ignored.append(option)
    return MountOptions(read_only, tuple(ignored))
