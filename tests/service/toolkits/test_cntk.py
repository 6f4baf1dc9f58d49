"""CNTK settings become a command line."""

import pytest

from batchai_recipes.service.toolkits.cntk import cntk
from batchai_recipes.service.toolkits.toolkit import MPIRUN, ToolkitError

PYTHON = "/opt/venv/bin/python"


@pytest.fixture
def process(toolkit_job):
    """Make the process of CNTK settings."""
    return lambda **settings: cntk(toolkit_job(**settings))[0]


def test_a_script_runs_with_the_services_interpreter_when_none_is_named(process):
    """So that the packages installed beside the service are there."""
    made = process(
        pythonScriptFilePath="$AZ_BATCHAI_INPUT_S/a b.py", commandLineArgs="$X -v | tee y"
    )
    expected = f'exec "{PYTHON}" "$AZ_BATCHAI_INPUT_S/a b.py" $X -v | tee y'
    assert (expected, PYTHON) == (made.command_line, made.program)


def test_a_named_interpreter_is_used(process):
    """It may hold variables, too."""
    made = process(pythonScriptFilePath="s.py", pythonInterpreterPath="$HOME/py/bin/python")
    assert made.command_line == 'exec "$HOME/py/bin/python" "s.py"'


def test_brain_script_runs_the_cntk_program_or_says_that_it_is_missing(process):
    """The shell looks for it on the node."""
    made = process(languageType="brainscript", configFilePath="$C/a.cntk", commandLineArgs="x=1")
    assert made.command_line.startswith("command -v cntk >/dev/null || {")
    assert made.command_line.endswith('exec cntk configFile="$C/a.cntk" x=1')


@pytest.mark.parametrize("several", [{"nodes": 2}, {"processCount": 2}])
@pytest.mark.parametrize("program", [{"pythonScriptFilePath": "s"}, {"configFilePath": "c"}])
def test_several_processes_run_under_mpi(process, several, program):
    """One on each node unless told otherwise."""
    made = process(**several, **program)
    assert made.role is MPIRUN
    assert "mpirun -np 2 " in made.command_line


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({}, "pythonScriptFilePath is missing"),
        ({"languageType": "BrainScript"}, "configFilePath is missing"),
        ({"languageType": "Perl"}, "'Python' or 'BrainScript'"),
    ],
)
def test_settings_that_cannot_run_are_refused_with_what_to_do(process, settings, hint):
    """The message names the setting."""
    with pytest.raises(ToolkitError, match=hint):
        process(**settings)
