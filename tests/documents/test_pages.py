"""The code blocks of the README and the manual, run as they stand."""

import logging
import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from batchai_recipes import Connection
from documents.page import PAGES, blocks_of, name_of
from documents.page_run import PageRun, environment_for

WITH_BLOCKS = [page for page in PAGES if blocks_of(page)]


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
    root, log = logging.getLogger(), logging.getLogger("batchai_recipes")
    with (
        patch.dict(os.environ, environment, clear=True),
        patch.object(root, "handlers", [*root.handlers]),
        patch.object(log, "level", log.level),
    ):
        try:
            for block in blocks_of(page):
                run.run(block)
        finally:
            run.close()
