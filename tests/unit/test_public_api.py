"""What `import batchai_recipes` gives and what it costs."""

import subprocess
import sys

import batchai_recipes


def test_the_public_names_are_sorted_and_exist():
    """So that a reader finds them, and a typo is seen."""
    names = batchai_recipes.__all__

    assert sorted(names) == names
    assert [name for name in names if not hasattr(batchai_recipes, name)] == []


def test_importing_the_library_loads_no_azure_package():
    """They cost most of the time and are loaded on first use."""
    heavy = (
        *("azure", "cryptography", "msrest", "pathspec", "requests", "rich", "starlette"),
        *("typer", "uvicorn"),
    )
    program = "import sys, batchai_recipes; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert not set(heavy) & set(done.stdout.split())


def test_every_public_name_has_a_docstring():
    """With a first sentence."""
    undocumented = [
        name
        for name in batchai_recipes.__all__
        if not (getattr(batchai_recipes, name).__doc__ or "").strip()
    ]

    assert undocumented == []
