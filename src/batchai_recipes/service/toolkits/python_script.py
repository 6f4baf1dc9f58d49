"""The command line of a Python script, which most toolkits run."""

from collections.abc import Mapping
from typing import Any

from batchai_recipes.service.toolkits.toolkit import ToolkitError
from batchai_recipes.service.variables import in_double_quotes


def python_program(settings: Mapping[str, Any], interpreter: str) -> str:
    """Return the Python that a toolkit's settings ask for.

    Args:
        settings: The settings.
        interpreter: The Python to use where they name none.
    """
    return str(settings.get("pythonInterpreterPath") or interpreter)


def python_command(
    settings: Mapping[str, Any], interpreter: str, arguments: str = "commandLineArgs"
) -> str:
    """Write the command line of a toolkit's Python script.

    Args:
        settings: The toolkit's settings.
        interpreter: The Python to use where they name none.
        arguments: The setting that holds the script's arguments.

    Raises:
        ToolkitError: They name no script.

    Example:
        >>> python_command({"pythonScriptFilePath": "$ROOT/train.py"}, "/usr/bin/python3")
        '"/usr/bin/python3" "$ROOT/train.py"'
    """
    script = settings.get("pythonScriptFilePath")
    if not script:
        raise ToolkitError("pythonScriptFilePath is missing: name the script to run")
    words = [
        in_double_quotes(python_program(settings, interpreter)),
        in_double_quotes(script),
        str(settings.get(arguments) or "").strip(),
    ]
    return " ".join(filter(None, words))
