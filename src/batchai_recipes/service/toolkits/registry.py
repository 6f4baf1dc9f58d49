"""Which toolkits there are, and the name of each one's settings in a job."""

from collections.abc import Mapping
from typing import Any, Final

from batchai_recipes.service.toolkits.cntk import cntk
from batchai_recipes.service.toolkits.custom import custom
from batchai_recipes.service.toolkits.toolkit import Process, Toolkit, ToolkitError, ToolkitJob

_SETTINGS: Final = {
    "cntk": "cntkSettings",
    "pytorch": "pyTorchSettings",
    "tensorflow": "tensorFlowSettings",
    "caffe": "caffeSettings",
    "caffe2": "caffe2Settings",
    "chainer": "chainerSettings",
    "custom": "customToolkitSettings",
    "custommpi": "customMpiSettings",
    "horovod": "horovodSettings",
}

TOOLKITS: Final[Mapping[str, Toolkit]] = {"cntk": cntk, "custom": custom}
"""The toolkits of this release, by ``toolType``."""


def processes_of(
    properties: Mapping[str, Any], node_count: int, interpreter: str
) -> tuple[Process, ...]:
    """Turn a job's toolkit settings into processes.

    Args:
        properties: The job's properties.
        node_count: How many nodes it runs on.
        interpreter: The Python to use where the settings name none.

    Returns:
        The processes, the master's first.

    Raises:
        ToolkitError: The toolkit is not supported, or its settings cannot be run.

    Example:
        >>> job = {"toolType": "custom", "customToolkitSettings": {"commandLine": "true"}}
        >>> len(processes_of(job, 1, "/usr/bin/python3"))
        1
    """
    tool = str(properties.get("toolType") or _tool_of(properties))
    toolkit = TOOLKITS.get(tool.casefold())
    if toolkit is None:
        raise ToolkitError(
            f"The toolkit {tool} is not supported by this release: use {' or '.join(TOOLKITS)}"
        )
    settings = properties.get(_SETTINGS[tool.casefold()]) or {}
    return toolkit(ToolkitJob(settings, node_count, interpreter))


def _tool_of(properties: Mapping[str, Any]) -> str:
    given = [tool for tool, settings in _SETTINGS.items() if properties.get(settings)]
    if len(given) != 1:
        raise ToolkitError(
            f"A job needs the settings of exactly one toolkit, this one has those of {len(given)}"
        )
    return given[0]
