"""Which toolkits there are, and the name of each one's settings in a job."""

from collections.abc import Mapping
from typing import Any, Final

from batchai_recipes.service.toolkits.caffe import caffe
from batchai_recipes.service.toolkits.caffe2 import caffe2
from batchai_recipes.service.toolkits.chainer import chainer
from batchai_recipes.service.toolkits.cntk import cntk
from batchai_recipes.service.toolkits.custom import custom
from batchai_recipes.service.toolkits.custom_mpi import custom_mpi
from batchai_recipes.service.toolkits.horovod import horovod
from batchai_recipes.service.toolkits.pytorch import pytorch
from batchai_recipes.service.toolkits.tensorflow import tensorflow
from batchai_recipes.service.toolkits.toolkit import Toolkit, ToolkitError

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

TOOLKITS: Final[Mapping[str, Toolkit]] = {
    "caffe": caffe,
    "caffe2": caffe2,
    "chainer": chainer,
    "cntk": cntk,
    "custom": custom,
    "custommpi": custom_mpi,
    "horovod": horovod,
    "pytorch": pytorch,
    "tensorflow": tensorflow,
}
"""The toolkits by ``toolType``."""


def toolkit_of(properties: Mapping[str, Any]) -> tuple[Toolkit, Mapping[str, Any]]:
    """Find a job's toolkit.

    Args:
        properties: The job's properties.

    Returns:
        The toolkit and the job's settings for it.

    Raises:
        ToolkitError: There is no such toolkit, or the job names none or several.

    Example:
        >>> job = {"toolType": "custom", "customToolkitSettings": {"commandLine": "true"}}
        >>> toolkit_of(job)[1]
        {'commandLine': 'true'}
    """
    tool = str(properties.get("toolType") or _tool_of(properties))
    toolkit = TOOLKITS.get(tool.casefold())
    if toolkit is None:
        raise ToolkitError(f"There is no toolkit {tool}: use {', '.join(TOOLKITS)}")
    return toolkit, properties.get(_SETTINGS[tool.casefold()]) or {}


def _tool_of(properties: Mapping[str, Any]) -> str:
    given = [tool for tool, settings in _SETTINGS.items() if properties.get(settings)]
    if len(given) != 1:
        raise ToolkitError(
            f"A job needs the settings of exactly one toolkit, this one has those of {len(given)}"
        )
    return given[0]
