"""The custom toolkit runs any command line."""

import pytest

from batchai_recipes.service.toolkits.custom import custom
from batchai_recipes.service.toolkits.toolkit import Process, ToolkitError


def test_the_command_line_runs_on_the_master_as_it_is(toolkit_job):
    """One process, whatever the number of nodes."""
    made = custom(toolkit_job(nodes=3, commandLine="echo $X | tee y"))
    assert made == (Process(0, "echo $X | tee y", "/opt/venv/bin/python"),)


def test_a_missing_command_line_is_refused(toolkit_job):
    """The message names the setting."""
    with pytest.raises(ToolkitError, match="commandLine is missing"):
        custom(toolkit_job())
