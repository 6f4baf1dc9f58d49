"""Numbers of nodes, checked where they are given."""

from batchai_recipes.errors import ConfigurationError


def checked_count(noun: str, count: object, *, at_least: int) -> int:
    """Return a whole number that is not too small.

    Args:
        noun: What is counted, for the message.
        count: The number; a truth value is not one.
        at_least: The smallest number allowed.

    Raises:
        ConfigurationError: It is no whole number or too small.

    Example:
        >>> checked_count("nodes of a job", 2, at_least=1)
        2
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < at_least:
        raise ConfigurationError(
            f"The number of {noun} is a whole number of at least {at_least}, not {count!r}"
        )
    return count
