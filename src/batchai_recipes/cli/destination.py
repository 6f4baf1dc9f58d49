"""The folder that a command downloads to, seen to before a long wait and not after it."""

import os
from pathlib import Path

from batchai_recipes.errors import ConfigurationError


def checked_destination(folder: Path) -> Path:
    """Return a folder that files can be written to; made when missing.

    Args:
        folder: The folder.

    Raises:
        ConfigurationError: It cannot be made, or nothing can be written to it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     checked_destination(Path(parent, "models")).is_dir()
        True
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise ConfigurationError(f"Cannot download to {folder}: {reason}; name a folder") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"Cannot download to {folder}: nothing can be written there; name another folder"
        )
    return folder
