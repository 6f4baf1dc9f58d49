"""What notebooks show of the library's objects: tables, escaped; secrets are left out."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

import attrs

_MOST_ROWS: Final = 50


def table(title: str, rows: Mapping[str, object]) -> str:
    """Return a table of names and values.

    Args:
        title: What stands above it.
        rows: The values by their names; None is left out, a tuple has a line for each part.

    Example:
        >>> table("Job", {"name": "<j>", "end": None})
        '<table><caption>Job</caption><tr><th>name</th><td>&lt;j&gt;</td></tr></table>'
    """
    lines = [
        f"<tr><th>{escape(name)}</th><td>{_cell(value)}</td></tr>"
        for name, value in rows.items()
        if value is not None
    ]
    return f"<table><caption>{escape(title)}</caption>{''.join(lines)}</table>"


def grid(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table with a head, its first rows and how many more there are.

    Args:
        title: What stands above it.
        columns: The head.
        rows: The values, in the order of the columns.

    Example:
        >>> grid("Metrics", ["loss"], [[0.5]]).partition("</thead>")[2]
        '<tbody><tr><td>0.5</td></tr></tbody></table>'
    """
    known = list(rows)
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    lines = [
        f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>"
        for row in known[:_MOST_ROWS]
    ]
    more = len(known) - _MOST_ROWS
    foot = f"<tfoot><tr><td>and {more} more</td></tr></tfoot>" if more > 0 else ""
    return (
        f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody>{foot}</table>"
    )


def described(value: attrs.AttrsInstance) -> str:
    """Return a table of what an attrs value was given; what its repr hides is left out.

    Args:
        value: The value.

    Example:
        >>> from batchai_recipes import CustomJobBuilder
        >>> text = described(CustomJobBuilder("myjob").nodes(2).secret("TOKEN", "hidden"))
        >>> "node_count</th><td>2" in text, "hidden" in text
        (True, False)
    """
    shown: dict[str, object] = {}
    for attribute in attrs.fields(type(value)):
        held = getattr(value, attribute.name)
        if attribute.repr and held != attribute.default:
            shown[attribute.name] = held
    return table(type(value).__name__, shown)


def _cell(value: object) -> str:
    if isinstance(value, tuple | list):
        return "<br>".join(_cell(part) for part in value)
    return "" if value is None else escape(str(value))
