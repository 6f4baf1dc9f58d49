"""Toolkits are found by the job's toolType, or by the settings it has."""

import pytest

from batchai_recipes.service.management.toolkit_settings import TOOLKITS as TOOL_TYPES
from batchai_recipes.service.toolkits.custom import custom
from batchai_recipes.service.toolkits.registry import TOOLKITS, toolkit_of
from batchai_recipes.service.toolkits.toolkit import ToolkitError

CUSTOM = {"customToolkitSettings": {"commandLine": "true"}}


@pytest.mark.parametrize("tool", [{"toolType": "custom"}, {"toolType": "Custom"}, {}])
def test_the_settings_go_to_their_toolkit(tool):
    """With the type in any case, or without one."""
    assert toolkit_of({**tool, **CUSTOM}) == (custom, {"commandLine": "true"})


def test_every_toolkit_of_the_contract_is_there():
    """By the names that the contract gives its types."""
    assert set(TOOLKITS) == {tool for tool, _ in TOOL_TYPES.values()}


def test_an_unknown_toolkit_is_refused():
    """With those that there are."""
    with pytest.raises(ToolkitError, match="no toolkit mxnet: use caffe, "):
        toolkit_of({"toolType": "mxnet"})


def test_a_job_without_settings_is_refused():
    """Nothing says what to run."""
    with pytest.raises(ToolkitError, match="exactly one toolkit"):
        toolkit_of({})
