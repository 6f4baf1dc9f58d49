"""Texts that callers give, checked where they are given."""

from batchai_recipes.errors import ConfigurationError


def checked_text(what: str, value: object, *, or_else: str = "") -> str:
    """Return a value if it is a text; a message never has the value, which may be a secret.

    Args:
        what: What the text is, for the message.
        value: What was given.
        or_else: What may be given in its place, for the message.

    Raises:
        ConfigurationError: It is no text.

    Example:
        >>> checked_text("The script's path", "train.py")
        'train.py'
    """
    if isinstance(value, str):
        return value
    given = "None" if value is None else type(value).__name__
    wanted = f"a string or {or_else}" if or_else else "a string"
    raise ConfigurationError(f"{what} must be {wanted}, not {given}")


def filled_text(what: str, value: object, *, hint: str = "") -> str:
    """Return a value if it is a text that is more than blanks.

    Args:
        what: What the text is, for the message.
        value: What was given.
        hint: What to do about an empty one.

    Raises:
        ConfigurationError: It is no text, or empty.

    Example:
        >>> filled_text("The script's path", "train.py")
        'train.py'
    """
    text = checked_text(what, value)
    if not text.strip():
        raise ConfigurationError(f"{what} is empty{f': {hint}' if hint else ''}")
    return text
