"""Submitted jobs: their state, logs and outputs."""

from batchai_recipes.runs.job_output import JobOutput, OutputFile
from batchai_recipes.runs.job_run import JobRun

__all__ = ["JobOutput", "JobRun", "OutputFile"]
