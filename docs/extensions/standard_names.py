"""Names of other packages in signatures: checked against what is installed, without a network.

Intersphinx would fetch an inventory from each project's site for every build. Names of the
standard library lead to Python's documentation, whose addresses follow from the names; those of
other packages stay plain text. A name that cannot be imported is a warning, and so an error of
``make docs``.
"""

import importlib
import sys

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.typing import ExtensionMetadata

_PYTHON = "https://docs.python.org/3/library"


def resolve(
    app: Sphinx, environment: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Node | None:
    """Return what a reference to a name of another package shows; None for a name that is none."""
    del app, environment
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"])
    module = module_of(target)
    if module is None:
        return None
    if module.split(".")[0] in sys.stdlib_module_names:
        page = "functions" if module == "builtins" else module
        reference = nodes.reference(
            "", "", internal=False, refuri=f"{_PYTHON}/{page}.html#{target}"
        )
        reference += content
        return reference
    return content


def module_of(name: str) -> str | None:
    """Return the module that has a name; None where there is none."""
    parts = name.split(".")
    if len(parts) == 1:
        return "builtins" if hasattr(importlib.import_module("builtins"), name) else None
    for length in range(len(parts) - 1, 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return None
            found = getattr(found, part)
        return ".".join(parts[:length])
    return None


def setup(app: Sphinx) -> ExtensionMetadata:
    """Answer for the references that no page of the manual has."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True}
