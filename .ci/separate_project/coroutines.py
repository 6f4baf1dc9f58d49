"""The same from coroutines."""

from training import CLUSTER, STAGING, jobs
from typing_extensions import assert_type

from batchai_recipes.aio import JobRun, TrainingSession


async def train() -> list[str]:
    """Run one job and return its lines."""
    async with TrainingSession(CLUSTER, staging=STAGING) as session:
        run = assert_type(await session.submit(next(jobs())), JobRun)
        lines = [line async for line in run.stream()]
        await run.wait()
        print(await run.state())
        return lines
