"""The directive ``public-api``: the public classes of some modules, from their docstrings.

What is public is what ``batchai_recipes.__all__`` names, so that a new name is in the reference as
soon as it is public.
"""

import ast
import inspect
import re
import sys
import typing
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec

import batchai_recipes
import batchai_recipes.aio  # its names are in the reference too

_PACKAGES = (batchai_recipes, batchai_recipes.aio)


def import_for_type_checkers() -> None:
    """Make the imports that the library's modules keep for type checkers.

    Annotations name classes of packages that load on first use. To switch `typing.TYPE_CHECKING`
    on would do so for all that is loaded by then, which other packages do not bear.
    """
    for name in batchai_recipes.__all__:
        getattr(batchai_recipes, name)  # loads its module
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] != "batchai_recipes" or not module.__file__:
            continue
        for node in ast.parse(Path(module.__file__).read_text()).body:
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                block = ast.Module(node.body, [])
                exec(compile(block, module.__file__, "exec"), vars(module))  # noqa: S102 - our own
    # Autodoc reads the annotations of a class's constructor as they are written.
    public = [getattr(package, n) for package in _PACKAGES for n in package.__all__]
    for thing in public:
        made_by = vars(thing).get("__init__")
        if inspect.isfunction(made_by):
            made_by.__annotations__ = typing.get_type_hints(made_by)


import_for_type_checkers()

# What these bring is not repeated with each class that inherits it.
_BASES = "JobBuilder, ExceptionGroup, Exception, BaseException, ValueError, TimeoutError, object"


class PublicApi(SphinxDirective):
    """Document what is public of some modules, each a line, or of all that no other page has.

    A line is the name of a module or package below ``batchai_recipes``, or of a public class.
    """

    has_content = True
    option_spec: ClassVar[OptionSpec] = {"except": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Write a directive of autodoc for each name, in the order of the lines."""
        lines: list[str] = []
        left_out = set(self.options.get("except", "").split())
        for entry in self.content:
            for name in names_of(entry.strip()):
                if name not in left_out:
                    lines += [f".. autoclass:: batchai_recipes.{name}", "   :members:"]
                    lines += ["   :show-inheritance:", f"   :inherited-members: {_BASES}", ""]
        return self.parse_text_to_nodes(StringList(lines, self.get_source_info()[0] or ""))


def names_of(entry: str) -> list[str]:
    """Return the public names of a module, or the name itself where it is one."""
    if entry in batchai_recipes.__all__:
        return [entry]
    prefix = f"batchai_recipes.{entry}"
    names = [
        name
        for name in batchai_recipes.__all__
        if f"{getattr(batchai_recipes, name).__module__}.".startswith(f"{prefix}.")
    ]
    if not names:
        raise ValueError(f"{prefix} has nothing that is public")
    return names


def shorten(*event: object) -> tuple[str, None] | None:
    """Show of a class's parameters those that its docstring tells of.

    The builders' other fields are set by their methods.
    """
    _, what, _, thing, _, signature = event[:6]
    if what != "class" or not signature:
        return None
    told = re.findall(r"^ {4}(\w+):", section(inspect.getdoc(thing) or "", "Args"), re.MULTILINE)
    parameters = inspect.signature(thing).parameters.values()  # type: ignore[arg-type]
    shown = [one.replace(annotation=one.empty) for one in parameters if one.name in told]
    return str(inspect.Signature(shown)), None


def section(docstring: str, title: str) -> str:
    """Return the text of a Google section, indented as it is."""
    found = re.search(rf"^{title}:\n((?: +.*\n?|\n)+)", docstring, re.MULTILINE)
    return found[1] if found else ""


def setup(app: Sphinx) -> ExtensionMetadata:
    """Add the directive."""
    app.add_directive("public-api", PublicApi)
    app.connect("autodoc-process-signature", shorten)
    return {"parallel_read_safe": True}
