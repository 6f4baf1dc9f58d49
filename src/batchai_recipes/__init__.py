"""Azure Batch AI's vocabulary and SDK clients, with an embedded service that really trains.

The public names, nothing else. The Azure packages load when they are first used, not here.
"""

from batchai_recipes.builders import (
    ClusterBuilder,
    CntkJobBuilder,
    JobBuilder,
    PyTorchJobBuilder,
    UnknownVmSizeWarning,
)
from batchai_recipes.connection import Connection
from batchai_recipes.errors import (
    BatchAIRecipesError,
    CleanUpError,
    ClusterError,
    ConfigurationError,
    JobError,
    JobFailedError,
    RequestError,
    ServiceStartError,
    StagingError,
    WaitTimeoutError,
)
from batchai_recipes.pacing import Pacing
from batchai_recipes.runs import JobOutput, JobRun, OutputFile
from batchai_recipes.session import ClusterState, TrainingSession
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
    "CleanUpError",
    "ClusterBuilder",
    "ClusterError",
    "ClusterState",
    "CntkJobBuilder",
    "ConfigurationError",
    "Connection",
    "ConnectionSettings",
    "FileShareStaging",
    "JobBuilder",
    "JobError",
    "JobFailedError",
    "JobOutput",
    "JobRun",
    "MountedPath",
    "OutputFile",
    "Pacing",
    "PyTorchJobBuilder",
    "RequestError",
    "ServiceStartError",
    "StagedContent",
    "StagedFile",
    "StagedManifest",
    "StagedUrl",
    "StagingError",
    "StorageAccount",
    "TrainingSession",
    "UnknownVmSizeWarning",
    "WaitTimeoutError",
]
