"""Batch AI's own JSON files of clusters, jobs and file servers, read as builders and written."""

from batchai_recipes.configfiles.cluster_file import read_cluster, write_cluster
from batchai_recipes.configfiles.file_server_file import read_file_server, write_file_server
from batchai_recipes.configfiles.job_file import read_job, write_job

__all__ = [
    "read_cluster",
    "read_file_server",
    "read_job",
    "write_cluster",
    "write_file_server",
    "write_job",
]
