"""The asynchronous twin: the same names, with ``async with``, ``await`` and ``async for``.

What is asked of a service is asked by the packages' own asynchronous clients, in the thread of the
event loop. The steps between the questions are the synchronous half's, which are written once:
:mod:`batchai_recipes.aio.fiber` runs them, and has them wait without keeping the loop from others.
"""

from importlib.util import find_spec

if find_spec("greenlet") is None:
    raise ImportError(
        "batchai_recipes.aio needs greenlet and aiohttp: pip install 'batchai-recipes[aio]'"
    )

from batchai_recipes.aio.connection import Connection
from batchai_recipes.aio.job_output import JobOutput
from batchai_recipes.aio.job_run import JobRun
from batchai_recipes.aio.open_output import OpenOutput
from batchai_recipes.aio.training_session import TrainingSession

__all__ = ["Connection", "JobOutput", "JobRun", "OpenOutput", "TrainingSession"]
