"""``$NAME`` and ``${NAME}`` in paths, values and command lines."""

import difflib
import re
from collections.abc import Iterable, Mapping

_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_RESERVED = "AZ_BATCH"


class UndefinedVariableError(Exception):
    """A path or command names a variable that the job does not have."""


def expand_known(text: str, variables: Mapping[str, str]) -> str:
    """Replace the variables that are known and leave everything else as it is.

    Args:
        text: The text.
        variables: The known ones.

    Example:
        >>> expand_known("$HOME/a costs $5, ${HOME}/$OTHER", {"HOME": "/data"})
        '/data/a costs $5, /data/$OTHER'
    """
    return _REFERENCE.sub(lambda m: variables.get(_name(m), m.group()), text)


def expand_path(text: str, variables: Mapping[str, str]) -> str:
    """Replace the variables of a path, all of which must be known.

    Args:
        text: The path.
        variables: The known ones.

    Raises:
        UndefinedVariableError: It names another one.

    Example:
        >>> expand_path("$AZ_BATCHAI_MOUNT_ROOT/share", {"AZ_BATCHAI_MOUNT_ROOT": "/mnt"})
        '/mnt/share'
    """
    _refuse_unknown((_name(m) for m in _REFERENCE.finditer(text)), text, variables)
    return expand_known(text, variables)


def check_references(command_line: str, variables: Mapping[str, str]) -> None:
    """Check the service's own variables that a command line names; the shell defines others.

    Args:
        command_line: What a shell will run.
        variables: The known ones.

    Raises:
        UndefinedVariableError: It names an ``AZ_BATCH`` variable that the job does not have.
    """
    names = (_name(m) for m in _REFERENCE.finditer(command_line))
    _refuse_unknown((n for n in names if n.startswith(_RESERVED)), command_line, variables)


def in_double_quotes(text: str) -> str:
    r"""Quote a text as one word for a shell that shall still replace ``$NAME`` in it.

    Args:
        text: The text.

    Example:
        >>> print(in_double_quotes('$ROOT/my "$(file)"'))
        "$ROOT/my \"\$(file)\""
    """
    quoted = []
    end = 0
    for match in _REFERENCE.finditer(text):
        quoted += [_escaped(text[end : match.start()]), match.group()]
        end = match.end()
    return f'"{"".join(quoted)}{_escaped(text[end:])}"'


def is_reserved(name: str) -> bool:
    """Tell whether only the service may set a variable.

    Example:
        >>> is_reserved("AZ_BATCHAI_MOUNT_ROOT")
        True
    """
    return name.startswith(_RESERVED)


def _name(match: re.Match[str]) -> str:
    return match.group(1) or match.group(2)


def _escaped(text: str) -> str:
    return re.sub(r'[$`"\\]', r"\\\g<0>", text)


def _refuse_unknown(names: Iterable[str], text: str, variables: Mapping[str, str]) -> None:
    for name in names:
        if name not in variables:
            known = [known for known in variables if is_reserved(known)]
            near = difflib.get_close_matches(name, known, 1)
            hint = (
                f"did you mean ${near[0]}?" if near else f"there are ${', $'.join(sorted(known))}"
            )
            raise UndefinedVariableError(f"{text!r} names ${name}, which is not set: {hint}")
