"""The code blocks of the README and the manual, run as they stand."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from batchai_recipes import Connection
from documents.page import PAGES, ROOT, blocks_of
from documents.page_run import PageRun, environment_for

NOT_RUN = Path(__file__).with_name("not_run.txt")
WITH_BLOCKS = [page for page in PAGES if blocks_of(page)]


def name_of(page: Path) -> str:
    """The page's path in the checkout."""
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """One service for all pages, which lives as long as a connection to it is open."""
    state, cache = tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("cache")
    with Connection.embedded(state):
        yield environment_for(state, cache)


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=name_of)
def test_the_blocks_of_a_page_do_what_it_shows(page, environment, tmp_path, monkeypatch):
    """In order, in one namespace and one shell, in a new folder."""
    monkeypatch.chdir(tmp_path)
    run = PageRun(tmp_path)
    with patch.dict(os.environ, environment, clear=True):
        try:
            for block in blocks_of(page):
                run.run(block)
        finally:
            run.close()


def not_run() -> list[str]:
    """Each block that is not run, with its reason."""
    return [
        f"{name_of(block.page)}: {block.code.splitlines()[0].strip()}: {block.not_run}"
        for page in PAGES
        for block in blocks_of(page)
        if block.not_run
    ]


def test_the_blocks_that_are_not_run_are_the_recorded_ones():
    """So that none is left out unseen: record with ``python tests/documents/test_pages.py``."""
    assert not_run() == NOT_RUN.read_text().splitlines()


if __name__ == "__main__":
    NOT_RUN.write_text("".join(f"{line}\n" for line in not_run()))
