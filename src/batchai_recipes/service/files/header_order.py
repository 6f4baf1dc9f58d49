"""The three orders in which Azure's clients sort ``x-ms-*`` headers before they sign them.

They agree unless names mix ``-``, ``_``, ``.`` and digits, as metadata names may. A client signs
one of them, so the service has to try all.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

# From the clients 12.11 to 12.16: one rank per character.
_ALPHABET_RANKS: Final = {
    character: rank
    for rank, character in enumerate("-!#$%&*.^_|~+'`0123456789abcdefghijklmnopqrstuvwxyz")
}
# From the clients since 12.17, which sort as a dictionary does: `'` and `-` decide only between
# names that are equal without them.
_DICTIONARY_RANKS: Final = {
    character: rank
    for rank, character in enumerate("!#$%&*.^_`|~+0123456789abcdefghijklmnopqrstuvwxyz")
}
_MARKS: Final = {"'": 1, "-": 2}

Header = tuple[str, str]


def _code_points(name: str) -> tuple[list[int], list[int]]:
    return [ord(character) for character in name], []


def _alphabet(name: str) -> tuple[list[int], list[int]]:
    return [_ALPHABET_RANKS.get(character, ord(character) + 256) for character in name], []


def _dictionary(name: str) -> tuple[list[int], list[int]]:
    ranks = [
        _DICTIONARY_RANKS.get(character, ord(character) + 256)
        for character in name
        if character not in _MARKS
    ]
    return ranks, [_MARKS.get(character, 0) for character in name]


ORDERS: Final[tuple[Callable[[str], tuple[list[int], list[int]]], ...]] = (
    _code_points,  # azure-storage-file, and azure-storage-file-share up to 12.10
    _alphabet,
    _dictionary,
)


def header_orders(headers: Iterable[Header]) -> list[list[Header]]:
    """Sort headers in every order that a client may have used, equal results only once.

    Args:
        headers: Names in lower case, with their values.

    Returns:
        The distinct orders; the plain one first.

    Example:
        >>> [[name for name, _ in order] for order in header_orders([("a-c", ""), ("ab", "")])]
        [['a-c', 'ab'], ['ab', 'a-c']]
    """
    given = list(headers)
    return [
        [given[number] for number in order] for order in _orders(tuple(name for name, _ in given))
    ]


# Clients send few different sets of headers, and some of them thousands of times.
@lru_cache(maxsize=64)
def _orders(names: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the distinct orders of some names, as the numbers of the names."""
    sorts = [sorted(range(len(names)), key=lambda number: order(names[number])) for order in ORDERS]
    return tuple(dict.fromkeys(map(tuple, sorts)))
