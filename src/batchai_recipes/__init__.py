"""Azure Batch AI's vocabulary and SDK clients, with an embedded service that really trains.

The public names, nothing else. Each loads when it is first used, and the Azure packages later
still: the import itself costs next to nothing. Type checkers see the names as imported here.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from batchai_recipes.builders import (
        Caffe2JobBuilder,
        CaffeJobBuilder,
        ChainerJobBuilder,
        ClusterBuilder,
        CntkJobBuilder,
        CustomJobBuilder,
        CustomMpiJobBuilder,
        FileServerBuilder,
        HorovodJobBuilder,
        JobBuilder,
        KeyVaultSecret,
        PyTorchJobBuilder,
        TensorFlowJobBuilder,
        UnknownVmSizeWarning,
    )
    from batchai_recipes.connection import Connection
    from batchai_recipes.errors import (
        BatchAIRecipesError,
        CleanUpError,
        ClusterError,
        ConfigFileError,
        ConfigurationError,
        JobError,
        JobFailedError,
        JobsFailedError,
        RequestError,
        ServiceStartError,
        StagingError,
        WaitTimeoutError,
    )
    from batchai_recipes.pacing import Pacing
    from batchai_recipes.profiles import ExposedSecretWarning
    from batchai_recipes.runs import JobOutput, JobRun, Metrics, OutputFile, StateChange
    from batchai_recipes.session import ClusterState, PlannedRequest, SessionPlan, TrainingSession
    from batchai_recipes.settings import ConnectionSettings
    from batchai_recipes.staging import (
        FileShareStaging,
        MountedPath,
        StagedContent,
        StagedFile,
        StagedManifest,
        StagedUrl,
        StorageAccount,
    )

__all__ = [
    "BatchAIRecipesError",
    "Caffe2JobBuilder",
    "CaffeJobBuilder",
    "ChainerJobBuilder",
    "CleanUpError",
    "ClusterBuilder",
    "ClusterError",
    "ClusterState",
    "CntkJobBuilder",
    "ConfigFileError",
    "ConfigurationError",
    "Connection",
    "ConnectionSettings",
    "CustomJobBuilder",
    "CustomMpiJobBuilder",
    "ExposedSecretWarning",
    "FileServerBuilder",
    "FileShareStaging",
    "HorovodJobBuilder",
    "JobBuilder",
    "JobError",
    "JobFailedError",
    "JobOutput",
    "JobRun",
    "JobsFailedError",
    "KeyVaultSecret",
    "Metrics",
    "MountedPath",
    "OutputFile",
    "Pacing",
    "PlannedRequest",
    "PyTorchJobBuilder",
    "RequestError",
    "ServiceStartError",
    "SessionPlan",
    "StagedContent",
    "StagedFile",
    "StagedManifest",
    "StagedUrl",
    "StagingError",
    "StateChange",
    "StorageAccount",
    "TensorFlowJobBuilder",
    "TrainingSession",
    "UnknownVmSizeWarning",
    "WaitTimeoutError",
]

# Where each public name is. Beside the imports above, which run time does not see.
_MODULES: Final = {
    "BatchAIRecipesError": "errors",
    "Caffe2JobBuilder": "builders",
    "CaffeJobBuilder": "builders",
    "ChainerJobBuilder": "builders",
    "CleanUpError": "errors",
    "ClusterBuilder": "builders",
    "ClusterError": "errors",
    "ClusterState": "session",
    "CntkJobBuilder": "builders",
    "ConfigFileError": "errors",
    "ConfigurationError": "errors",
    "Connection": "connection",
    "ConnectionSettings": "settings",
    "CustomJobBuilder": "builders",
    "CustomMpiJobBuilder": "builders",
    "ExposedSecretWarning": "profiles",
    "FileServerBuilder": "builders",
    "FileShareStaging": "staging",
    "HorovodJobBuilder": "builders",
    "JobBuilder": "builders",
    "JobError": "errors",
    "JobFailedError": "errors",
    "JobOutput": "runs",
    "JobRun": "runs",
    "JobsFailedError": "errors",
    "KeyVaultSecret": "builders",
    "Metrics": "runs",
    "MountedPath": "staging",
    "OutputFile": "runs",
    "Pacing": "pacing",
    "PlannedRequest": "session",
    "PyTorchJobBuilder": "builders",
    "RequestError": "errors",
    "ServiceStartError": "errors",
    "SessionPlan": "session",
    "StagedContent": "staging",
    "StagedFile": "staging",
    "StagedManifest": "staging",
    "StagedUrl": "staging",
    "StagingError": "errors",
    "StateChange": "runs",
    "StorageAccount": "staging",
    "TensorFlowJobBuilder": "builders",
    "TrainingSession": "session",
    "UnknownVmSizeWarning": "builders",
    "WaitTimeoutError": "errors",
}

# Whoever uses the library decides what becomes of its log.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    """Load a public name when it is first used."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Name what is public, for completion too."""
    return sorted({*globals(), *__all__})
