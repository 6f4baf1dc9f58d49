"""Toolkits are found by the job's toolType, or by the settings it has."""

import pytest

from batchai_recipes.service.toolkits.custom import custom
from batchai_recipes.service.toolkits.registry import toolkit_of
from batchai_recipes.service.toolkits.toolkit import ToolkitError

CUSTOM = {"customToolkitSettings": {"commandLine": "true"}}


@pytest.mark.parametrize("tool", [{"toolType": "custom"}, {"toolType": "Custom"}, {}])
def test_the_settings_go_to_their_toolkit(tool):
    """With the type in any case, or without one."""
    assert toolkit_of({**tool, **CUSTOM}) == (custom, {"commandLine": "true"})


@pytest.mark.parametrize(
    "tool", ["tensorflow", "caffe", "caffe2", "chainer", "custommpi", "horovod"]
)
def test_other_toolkits_are_not_supported_yet(tool):
    """They are refused by name."""
    with pytest.raises(ToolkitError, match=f"toolkit {tool} is not supported by this release"):
        toolkit_of({"toolType": tool})


def test_a_job_without_settings_is_refused():
    """Nothing says what to run."""
    with pytest.raises(ToolkitError, match="exactly one toolkit"):
        toolkit_of({})
