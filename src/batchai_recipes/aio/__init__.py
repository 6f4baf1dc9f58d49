"""The asynchronous twin: the same names, with ``async with``, ``await`` and ``async for``.

Jobs are asked after, waited for and ended by the packages' own asynchronous clients. What moves
files or provisions is the synchronous half's work, each in a thread of its own, so that it is
written once; a task that is cancelled meanwhile ends when that has been cleaned up.
"""

from batchai_recipes.aio.connection import Connection
from batchai_recipes.aio.job_output import JobOutput
from batchai_recipes.aio.job_run import JobRun
from batchai_recipes.aio.training_session import TrainingSession

__all__ = ["Connection", "JobOutput", "JobRun", "TrainingSession"]
