"""The documents name only what exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
PACKAGE = ROOT / "src" / "batchai_recipes"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_lead_somewhere(document):
    """From the folder of the document that has them."""
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text())

    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_architecture_names_modules_that_exist():
    """Each in the reading order, by its path in the package or the checkout."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    names = re.findall(r"`([\w/]+(?:/|\.py))`", text)
    folder = {name for name in names if "/" in name}

    assert folder
    assert [n for n in folder if not ((PACKAGE / n).exists() or (ROOT / n).exists())] == []


def test_every_dependency_has_its_reason():
    """In docs/dependencies.md, with why it and not a rival."""
    project = (ROOT / "pyproject.toml").read_text()
    listed = re.search(r"^dependencies = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert listed
    names = re.findall(r'"([\w-]+)', listed[1])
    reasons = (ROOT / "docs" / "dependencies.md").read_text()

    assert names
    assert [name for name in names if name not in reasons] == []
