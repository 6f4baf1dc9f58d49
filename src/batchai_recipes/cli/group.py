"""Groups of commands, which answer a typo with the nearest command."""

import difflib
import sys
from typing import Final

import typer
from typer.core import TyperGroup

from batchai_recipes.cli.exit_code import ExitCode
from batchai_recipes.cli.streams import silence

MARKUP: Final = "markdown"
"""How the help's texts are read: a paragraph is wrapped anew, and brackets stand for themselves."""


class CommandGroup(TyperGroup):
    """A group of commands that knows what a mistyped one may stand for."""

    def invoke(self, ctx):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - typer's own types, see below
        """Run the command; a reader that went away ends it with a code of its own.

        The package would end it with 1, as any failure.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            silence(sys.stdout)
            raise typer.Exit(ExitCode.BROKEN_PIPE) from error

    def resolve_command(self, ctx, args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - typer's own types, see below
        """Return the command of a name, as the base class does.

        The base's types come from a package that this one does not depend on.
        """
        name = args[0] if args else ""
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.list_commands(ctx), 1)
            if near:
                ctx.fail(f"No such command {name!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)


def command_group(name: str, help: str) -> typer.Typer:  # noqa: A002 - typer's own word
    """Return an empty group of commands.

    Args:
        name: The group's name.
        help: What its commands are for.
    """
    return typer.Typer(
        name=name,
        help=help,
        cls=CommandGroup,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=MARKUP,
    )
