"""The documents name only what exists."""

import re
from collections.abc import Iterator

import pytest
from typer.main import get_command

import batchai_recipes
from batchai_recipes.cli.app import app
from documents.page import PAGES, ROOT, blocks_of, name_of

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NOT_RUN = ROOT / "tests" / "documents" / "not_run.txt"
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


def test_the_diagram_names_what_there_is():
    """The clients that the package depends on, the service's parts, and what is beside it."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    diagram = text.partition("```text\n")[2].partition("```")[0]
    clients = re.findall(r"azure-[\w-]+", diagram)
    required = (ROOT / "pyproject.toml").read_text()
    parts = {
        "identity": "service/identity",
        "management plane": "service/management",
        "file shares": "service/files",
        "scheduler": "service/scheduling",
        "Engine": "service/engines/engine.py",
        "volume_sync": "volume_sync",
        "builders": "builders",
        "TrainingSession": "session/training_session.py",
    }

    assert len(clients) > 3
    assert [client for client in clients if f'"{client}>=' not in required] == []
    assert [name for name in parts if name not in diagram] == []
    assert [path for path in parts.values() if not (PACKAGE / path).exists()] == []


def test_every_dependency_has_its_reason():
    """In docs/dependencies.md, with why it and not a rival."""
    project = (ROOT / "pyproject.toml").read_text()
    listed = re.search(r"^dependencies = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert listed
    names = re.findall(r'"([\w-]+)', listed[1])
    reasons = (ROOT / "docs" / "dependencies.md").read_text()

    assert names
    assert [name for name in names if name not in reasons] == []


def not_run() -> list[str]:
    """Each code block that tests/documents does not run, with its reason."""
    return [
        f"{name_of(block.page)}: {block.code.splitlines()[0].strip()}: {block.not_run}"
        for page in PAGES
        for block in blocks_of(page)
        if block.not_run
    ]


def test_the_blocks_that_are_not_run_are_the_recorded_ones():
    """So that none is left out unseen: ``PYTHONPATH=tests python tests/unit/test_documents.py``."""
    assert not_run() == NOT_RUN.read_text().splitlines()


def test_every_page_is_in_the_table_of_contents():
    """In docs/index.md, where a reader finds it."""
    index = (ROOT / "docs" / "index.md").read_text()
    listed = re.findall(r"^(?:.* <)?([\w/]+)>?$", index, re.MULTILINE)
    pages = [
        str(page.relative_to(ROOT / "docs").with_suffix(""))
        for page in (ROOT / "docs").rglob("*.md")
    ]

    assert sorted(set(pages) - {"index"} - set(listed)) == []


def test_the_members_that_the_documents_name_exist():
    """Of the public classes, each written as `Class.member`."""
    named = {
        (document.name, class_name, member)
        for document in DOCUMENTS
        for class_name, member in re.findall(r"`([A-Z]\w+)\.(\w+)", document.read_text())
        if class_name in batchai_recipes.__all__
    }

    assert named
    assert [
        names for names in named if not hasattr(getattr(batchai_recipes, names[1]), names[2])
    ] == []


def commands(text: str) -> Iterator[list[str]]:
    """The words after each `batchai-recipes` of a document, to the end of the span or line."""
    text = re.sub(r"\\\n *", " ", text)
    for line in re.findall(r"(?:^|[`$|&;] ?)batchai-recipes ([^`\n|&;]+)", text, re.MULTILINE):
        yield line.partition(" #")[0].split()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_commands_and_options_of_a_document_exist(document):
    """As `batchai-recipes COMMAND --option`."""
    for words in commands(document.read_text()):
        command = get_command(app)
        assert words[0].startswith("--") or words[0] in command.commands, words
        options = {"--help", "--version"}
        for word in words:
            command = getattr(command, "commands", {}).get(word, command)
            options |= {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            if word.startswith("--"):
                assert word.strip("[].,").partition("=")[0] in options, words


def test_figures_beside_other_tools_are_the_measured_ones():
    """Each row of the table of trivial jobs is in benchmarks/RESULTS.md."""
    table = (ROOT / "docs" / "peers.md").read_text().partition("## Trivial jobs")[2]
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) \| ([\d.,]+) \|$", table, re.MULTILINE)
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    measured = {
        (cells[1].strip(), cells[2].strip(), cells[4].strip())
        for line in results.splitlines()
        if len(cells := line.split("|")) == 7
    }

    assert len(rows) > 5
    assert {(name.replace("`", ""), *figures) for name, *figures in rows} <= measured


if __name__ == "__main__":
    NOT_RUN.write_text("".join(f"{line}\n" for line in not_run()))
