"""Writing arguments as one command line that a node's shell takes apart again."""

import re
from typing import Final

from batchai_recipes.text import checked_text

_PLAIN: Final = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_SPECIAL_IN_DOUBLE_QUOTES: Final = re.compile(r'(["\\`])')


def shell_words(*arguments: str) -> str:
    r"""Join arguments into a command line; ``$NAME`` is expanded on the node, nothing else is.

    Args:
        arguments: One string for each argument that the program shall see.

    Returns:
        The command line, with arguments in double quotes where a shell would split or change them.

    Example:
        >>> print(shell_words("$AZ_BATCHAI_INPUT_SAMPLE", "--title", 'a "small" run', ""))
        "$AZ_BATCHAI_INPUT_SAMPLE" --title "a \"small\" run" ""
    """
    return " ".join(_shell_word(argument) for argument in arguments)


def arguments_line(arguments: tuple[str, ...] | str) -> str | None:
    """Return arguments as the line that is sent; None where there are none.

    Args:
        arguments: One string for each argument, or the line as it is.

    Example:
        >>> arguments_line(("--epochs", "2")), arguments_line("--epochs  2"), arguments_line(())
        ('--epochs 2', '--epochs  2', None)
    """
    return (arguments if isinstance(arguments, str) else shell_words(*arguments)) or None


def checked_arguments(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return arguments if each is a text.

    Args:
        arguments: The arguments.

    Raises:
        ConfigurationError: One is none; a number is to be written as a text.

    Example:
        >>> checked_arguments(("--epochs", "2"))
        ('--epochs', '2')
    """
    for number, argument in enumerate(arguments, 1):
        checked_text(f"Argument {number} of the script", argument)
    return arguments


def checked_line(line: str) -> str:
    """Return a line of arguments if it is a text.

    Args:
        line: The line.

    Raises:
        ConfigurationError: It is none.
    """
    return checked_text("The line of arguments", line)


def _shell_word(argument: str) -> str:
    if _PLAIN.fullmatch(argument):
        return argument
    # `$(` would run a command; only variables are meant to be expanded.
    escaped = _SPECIAL_IN_DOUBLE_QUOTES.sub(r"\\\1", argument).replace("$(", "\\$(")
    return f'"{escaped}"'
