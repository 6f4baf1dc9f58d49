"""The custom toolkit runs any command line."""

import pytest

from batchai_recipes.service.toolkits.custom import custom
from batchai_recipes.service.toolkits.toolkit import Process, ToolkitError, ToolkitJob


def test_the_command_line_runs_on_the_master_as_it_is():
    """One process, whatever the number of nodes."""
    expected = (Process(0, "echo $X | tee y", "/usr/bin/python3"),)
    assert expected == custom(ToolkitJob({"commandLine": "echo $X | tee y"}, 3, "/usr/bin/python3"))


def test_a_missing_command_line_is_refused():
    """The message names the setting."""
    with pytest.raises(ToolkitError, match="commandLine is missing"):
        custom(ToolkitJob({}, 1, "/usr/bin/python3"))
