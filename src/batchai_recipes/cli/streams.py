"""The standard streams where they are closed, or nobody can read what is written to them."""

import os
import sys
from typing import Final, TextIO

_DESCRIPTORS: Final = {"stdin": 0, "stdout": 1, "stderr": 2}


def open_missing() -> None:
    """Let the standard streams that are closed (``>&-``) lead nowhere.

    Else messages for standard error would go to standard output, and the next file or connection
    that is opened would be taken for the stream, also by programs that are started.
    """
    for name, descriptor in _DESCRIPTORS.items():
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free, and those below are there by now.
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - no path, and open to the end


def silence(stream: TextIO) -> None:
    """Let what is still to be written to a stream at exit go nowhere, since it cannot be.

    Args:
        stream: The stream.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
