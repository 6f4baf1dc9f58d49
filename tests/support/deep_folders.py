"""Folders that are nested deeper than paths, and calls of Python, can go."""

import os
from pathlib import Path


def make_deep(folder: Path, depth: int) -> None:
    """Nest folders in one, the innermost of which nobody may enter.

    Args:
        folder: The outermost one, which is there.
        depth: How many to make, one in the other.
    """
    inside = os.open(folder, os.O_RDONLY)
    for level in range(depth):
        os.mkdir("d", 0o700 if level < depth - 1 else 0, dir_fd=inside)
        if level < depth - 1:
            below = os.open("d", os.O_RDONLY, dir_fd=inside)
            os.close(inside)
            inside = below
    os.close(inside)
