"""How many requests to the file service are under way at a time."""

from typing import Final

from batchai_recipes.errors import ConfigurationError

MAX_CONNECTIONS: Final = 4
"""How many when nobody says: more are faster only where the file service is far away."""

_MOST: Final = 64


def checked_connections(number: int) -> int:
    """Check a number of connections.

    Args:
        number: The number.

    Returns:
        The number.

    Raises:
        ConfigurationError: It is none from 1 to 64.

    Example:
        >>> checked_connections(8)
        8
    """
    if number not in range(1, _MOST + 1):  # whatever it is
        raise ConfigurationError(f"max_connections is {number!r}: use a number from 1 to {_MOST}")
    return number
