"""A page of the manual and its code blocks, with what comments before them say.

==============================  ====================================================================
``<!-- file: NAME -->``         the block is a file of this name, which later blocks use
``<!-- background: NAME -->``   the block of ``sh`` runs on; the next one waits for this file
``<!-- not run: REASON -->``    the block is not run, for this reason
``<!-- set-up`` ... ``-->``     Python that runs at this place, unseen by the reader
==============================  ====================================================================

A block of ``text`` after one that runs is what that one prints.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_COMMENT: Final = re.compile(r"<!-- *(file|background|not run): *(.+?) *-->", re.DOTALL)
_SET_UP: Final = re.compile(r"<!-- *set-up\n(.*)-->", re.DOTALL)


@frozen
class Block:
    """A code block, or the set-up of those after it.

    Args:
        page: The document that it is in.
        line: The line of its first line of code, from 1.
        language: What follows its fence; ``set-up`` for a comment's.
        code: What it holds.
        file: The name of the file that it is, if it is one.
        background: The file that it writes when it is ready, where it does not end by itself.
        not_run: Why it is not run; None where it is.
    """

    page: Path
    line: int
    language: str
    code: str
    file: str | None = None
    background: str | None = None
    not_run: str | None = None

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    """Return a page's path in the checkout."""
    return str(page.relative_to(ROOT))


def blocks_of(page: Path) -> list[Block]:
    """Read the code blocks of a page in order, but for Sphinx's directives.

    Raises:
        ValueError: A block is indented and not fenced, has no language, or a comment stands before
            none.
    """
    return list(_blocks(page, MarkdownIt().parse(page.read_text())))


def _blocks(page: Path, tokens: list[Token]) -> Iterator[Block]:
    said: dict[str, str] = {}
    for token in tokens:
        line = token.map[0] + 1 if token.map else 0
        if token.type == "html_block" and (comments := _COMMENT.findall(token.content)):
            said |= {kind: " ".join(words.split()) for kind, words in comments}
        elif token.type == "html_block" and (found := _SET_UP.search(token.content)):
            yield Block(page, line + 1, "set-up", found[1])
        elif token.type == "code_block":
            raise ValueError(f"{page.name}:{line}: fence this block and name its language")
        elif token.type == "fence" and not token.info.startswith("{"):
            if not token.info.strip():
                raise ValueError(f"{page.name}:{line}: name the language of this block")
            language = token.info.split()[0]
            options = {kind.replace(" ", "_"): words for kind, words in said.items()}
            said = {}
            yield Block(page, line + 1, language, token.content, **options)
        elif said and token.level == 0 and token.nesting >= 0:
            raise ValueError(f"{page.name}:{line}: a comment {said} stands before no block")
