"""Batch AI's own `cluster.json` and `job.json`, read as builders and written from them."""

from batchai_recipes.configfiles.cluster_file import read_cluster, write_cluster
from batchai_recipes.configfiles.job_file import read_job, write_job

__all__ = ["read_cluster", "read_job", "write_cluster", "write_job"]
