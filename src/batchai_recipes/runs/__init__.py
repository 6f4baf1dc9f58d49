"""Submitted jobs: their state, logs, outputs and metrics."""

from batchai_recipes.runs.job_output import JobOutput, OutputFile
from batchai_recipes.runs.job_run import JobRun
from batchai_recipes.runs.metrics import Metrics
from batchai_recipes.runs.state_change import StateChange

__all__ = ["JobOutput", "JobRun", "Metrics", "OutputFile", "StateChange"]
