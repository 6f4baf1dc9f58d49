"""Azure Batch AI's vocabulary and SDK clients, with an embedded service that really trains.

The public names, nothing else. The Azure packages load when they are first used, not here.
"""

from batchai_recipes.builders import (
    Caffe2JobBuilder,
    CaffeJobBuilder,
    ChainerJobBuilder,
    ClusterBuilder,
    CntkJobBuilder,
    CustomJobBuilder,
    CustomMpiJobBuilder,
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
