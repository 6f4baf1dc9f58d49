"""Clusters, jobs and file servers as values that build the official models."""

from batchai_recipes.builders.caffe import CaffeJobBuilder
from batchai_recipes.builders.caffe2 import Caffe2JobBuilder
from batchai_recipes.builders.chainer import ChainerJobBuilder
from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.cntk import CntkJobBuilder
from batchai_recipes.builders.custom import CustomJobBuilder, CustomMpiJobBuilder
from batchai_recipes.builders.file_server import FileServerBuilder
from batchai_recipes.builders.horovod import HorovodJobBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.builders.key_vault import KeyVaultSecret
from batchai_recipes.builders.pytorch import PyTorchJobBuilder
from batchai_recipes.builders.tensorflow import TensorFlowJobBuilder
from batchai_recipes.builders.vm_size import UnknownVmSizeWarning

__all__ = [
    "Caffe2JobBuilder",
    "CaffeJobBuilder",
    "ChainerJobBuilder",
    "ClusterBuilder",
    "CntkJobBuilder",
    "CustomJobBuilder",
    "CustomMpiJobBuilder",
    "FileServerBuilder",
    "HorovodJobBuilder",
    "JobBuilder",
    "KeyVaultSecret",
    "PyTorchJobBuilder",
    "TensorFlowJobBuilder",
    "UnknownVmSizeWarning",
]
