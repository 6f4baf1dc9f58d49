"""What all commands have in common."""

import sys
from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperGroup

from batchai_recipes import cli
from batchai_recipes.cli.app import app


def leaves(command, names=()) -> Iterator[tuple[str, object]]:
    """The commands with their names, those of groups too."""
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from leaves(inner, (*names, name))
    if not isinstance(command, TyperGroup) or (command.invoke_without_command and names):
        yield " ".join(names), command


COMMANDS = dict(leaves(typer.main.get_command(app)))
PLACES = {"cluster": {"-g", "-w"}, "job": {"-g", "-w", "-e"}}


def options(name):
    """The options of a command."""
    return {text for one in COMMANDS[name].params for text in one.opts}


def test_all_of_them_are_looked_at():
    """Groups among them."""
    assert {"run", "attach", "cluster show", "job logs", "serve", "serve principals add"} <= set(
        COMMANDS
    )
    assert len(COMMANDS) > 20


@pytest.mark.parametrize("name", COMMANDS)
def test_its_result_can_be_had_as_json(name):
    """Each has one."""
    assert "--json" in options(name)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_of_its_options_is_explained(name):
    """And the command itself, in a sentence."""
    assert (COMMANDS[name].help or "").strip().partition("\n")[0].endswith((".", "all"))
    hidden = [one.name for one in COMMANDS[name].params if not getattr(one, "help", "")]
    assert hidden == []


@pytest.mark.parametrize("name", [one for one in COMMANDS if one.partition(" ")[0] in PLACES])
def test_those_of_a_service_say_where_to_look(name):
    """All by the same options."""
    wanted = {"--profile", "--env-file", "--state-dir", *PLACES[name.partition(" ")[0]]}
    assert wanted <= options(name)


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_that_there_is_not_is_wrong_input(name, monkeypatch, capsys):
    """With the usage, and without a traceback."""
    monkeypatch.setattr(sys, "argv", ["batchai-recipes", *name.split(), "--no-such-option"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    assert "--no-such-option" in told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize("name", [one for one in COMMANDS if "--state-dir" in options(one)])
def test_no_command_takes_the_current_folder_for_a_state_directory(name, monkeypatch, capsys):
    """As of a variable that is not set."""
    monkeypatch.setattr(sys, "argv", ["batchai-recipes", *name.split(), "--state-dir", ""])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "it is empty; name a folder" in capsys.readouterr().err


def test_the_version_is_told(monkeypatch, capsys):
    """On standard output."""
    monkeypatch.setattr(sys, "argv", ["batchai-recipes", "--version"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("batchai-recipes ")
