"""Clusters and jobs as values that build the official models."""

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.cntk import CntkJobBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.builders.pytorch import PyTorchJobBuilder
from batchai_recipes.builders.vm_size import UnknownVmSizeWarning

__all__ = [
    "ClusterBuilder",
    "CntkJobBuilder",
    "JobBuilder",
    "PyTorchJobBuilder",
    "UnknownVmSizeWarning",
]
