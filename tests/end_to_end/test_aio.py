"""The asynchronous twin, against the embedded service with the real Azure clients."""

import asyncio
import signal
import subprocess
import sys
import textwrap
from contextlib import aclosing
from datetime import timedelta

import pytest
from unmeasured import unmeasured

from batchai_recipes import (
    ClusterBuilder,
    CustomJobBuilder,
    FileShareStaging,
    JobFailedError,
    JobsFailedError,
    RequestError,
    WaitTimeoutError,
)
from batchai_recipes.aio import Connection, TrainingSession

pytestmark = pytest.mark.slow
SHARE = FileShareStaging("data")
CLUSTER = ClusterBuilder("c").vm_size("STANDARD_D1").nodes(1).mount(SHARE, at="share")
CLUSTER_ALONE = ClusterBuilder("alone").vm_size("STANDARD_D1").nodes(1)


def job(name, command):
    """Return a job that runs a command line."""
    return CustomJobBuilder(name).output("OUT").command_line(command)


def test_a_job_runs_streams_and_gives_its_output(state_dir, tmp_path, nothing_left):
    """The whole story of one job."""

    async def main():
        async with Connection.embedded(state_dir) as connection:
            session = TrainingSession(CLUSTER, staging=SHARE, connection=connection)
            async with session:
                run = await session.submit(
                    job("j", 'echo née; echo two; echo weights >"$AZ_BATCHAI_OUTPUT_OUT/m"')
                )
                lines = [line async for line in run.stream()]
                changes = [change.state async for change in run.events()]
                await run.wait()
                outputs = run.outputs("OUT")
                (model,) = await outputs.download(tmp_path / "out")
                (listed,) = await outputs.files()
                assert (await outputs.file("m")).size == listed.size
                async with await outputs.open("m") as file:
                    await file.seek(2)
                    assert (await file.read(2), await file.tell()) == (b"ig", 4)
                async with await outputs.open("m", "r") as file:
                    assert [line async for line in file] == ["weights\n"]
                assert file.closed
                part = await outputs.read(listed.url, 2, 3)
                state = await session.cluster_state()
                log = await run.logs(last=1)
                assert await run.state() == "succeeded"
                assert [one.name for one in session.runs()] == ["j"]
            groups = [g async for g in connection.resources.resource_groups.list()]
            assert [share.name async for share in connection.files.list_shares()] == []
            return lines, changes, model.read_text(), part, state.allocated, log, groups

    expected = ["née", "two"], ["queued", "running", "succeeded"]
    assert asyncio.run(main()) == (*expected, "weights\n", b"igh", 1, "two\n", [])
    nothing_left()


def test_sessions_beside_and_inside_each_other(state_dir, nothing_left):
    """None disturbs another, and one of them fails."""

    async def one(connection, number, code):
        share = FileShareStaging(f"data{number}")
        cluster = ClusterBuilder("c").vm_size("STANDARD_D1").nodes(1).mount(share, at="share")
        async with TrainingSession(cluster, staging=share, connection=connection) as session:
            run = await session.submit(job("j", f"echo {number}; exit {code}"))
            lines = [line async for line in run.stream()]
            async with TrainingSession(CLUSTER_ALONE, connection=connection) as inner:
                assert (await inner.cluster_state()).idle == 1
            await run.wait()
            return lines

    async def main():
        async with Connection.embedded(state_dir) as connection:
            return await asyncio.gather(
                *(one(connection, *pair) for pair in enumerate((0, 3, 0))), return_exceptions=True
            )

    first, failed, third = asyncio.run(main())
    assert (first, third) == (["0"], ["2"])
    assert isinstance(failed, JobFailedError)
    assert failed.exit_code == 3
    nothing_left()


def test_many_jobs_and_the_default_connection(state_dir, environment, monkeypatch, nothing_left):
    """What failed is told at the end; waits can be bounded."""
    for name in ("BATCHAI_ENDPOINT", "BATCHAI_RECIPES_ENV_FILE", "BATCHAI_RECIPES_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BATCHAI_RECIPES_STATE_DIR", str(state_dir))

    async def main():
        async with TrainingSession(CLUSTER, staging=SHARE) as session:
            plan = await session.plan(job("p", "true"))
            assert "job p" in str(plan)
            jobs = [job(f"j{code}", f"exit {code}") for code in (0, 1)]
            runs = session.map(jobs, max_parallel=2)
            first = await anext(runs)
            with pytest.raises(JobsFailedError) as raised:
                await anext(runs)
            assert len(raised.value.exceptions) == 1
            slow = await session.submit(job("slow", "sleep 600"))
            with pytest.raises(WaitTimeoutError):
                await slow.wait(timeout=0)
            await slow.terminate()
            with pytest.raises(RequestError, match="choose another name"):
                await session.submit(job("slow", "true"))
        return first.name

    assert asyncio.run(main()) == "j0"
    nothing_left()


def test_a_session_is_detached_and_taken_up_again(state_dir, nothing_left):
    """With its jobs; the second block deletes it."""

    async def main():
        async with Connection.embedded(state_dir) as connection:
            async with TrainingSession(CLUSTER, staging=SHARE, connection=connection) as session:
                await session.submit(job("j", "echo still here"))
                await session.detach(timedelta(hours=1))
            async with TrainingSession.attach(session.id, connection=connection) as again:
                (run,) = again.runs()
                return [line async for line in (await run.wait()).stream()]

    assert asyncio.run(main()) == ["still here"]
    nothing_left()


def test_a_cancelled_task_cleans_up_what_it_took_up(state_dir, nothing_left):
    """As it does what it made itself; cancelled again while it deletes."""

    async def main():
        deleting = asyncio.Event()

        def report(line):
            if line.startswith("Deleting"):
                deleting.set()

        async def work(connection):
            async with TrainingSession(CLUSTER, staging=SHARE, connection=connection) as session:
                await session.detach(timedelta(hours=1))
            async with TrainingSession.attach(session.id, connection=connection, report=report):
                taken.set()
                await asyncio.Event().wait()

        async with Connection.embedded(state_dir) as connection:
            taken = asyncio.Event()
            task = asyncio.create_task(work(connection))
            await taken.wait()
            task.cancel()
            await deleting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [g async for g in connection.resources.resource_groups.list()] == []

    asyncio.run(main())
    nothing_left()


def test_a_cancelled_task_cleans_up(state_dir, nothing_left):
    """While it enters, waits for a job and follows a log; cancelled twice too."""

    async def entering(connection, reached):
        loop = asyncio.get_running_loop()

        def report(line):
            if line.startswith("Cluster state"):
                loop.call_soon_threadsafe(reached.set)

        never = CLUSTER.setup_task("sleep 600")
        async with TrainingSession(never, staging=SHARE, connection=connection, report=report):
            pytest.fail("its nodes never get ready")

    async def inside(connection, reached, verb):
        async with TrainingSession(CLUSTER, staging=SHARE, connection=connection) as session:
            run = await session.submit(job("j", "echo started; sleep 600"))
            async with aclosing(run.stream()) as lines:
                await anext(lines)
                reached.set()
                if verb == "stream":
                    await anext(lines)
            await run.wait()

    async def main():
        async with Connection.embedded(state_dir) as connection:
            for begin in (
                lambda reached: entering(connection, reached),
                lambda reached: inside(connection, reached, "stream"),
                lambda reached: inside(connection, reached, "wait"),
            ):
                reached = asyncio.Event()
                task = asyncio.create_task(begin(reached))
                await reached.wait()
                task.cancel()
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert not [g async for g in connection.resources.resource_groups.list()]

    asyncio.run(main())
    nothing_left()


PROGRAM = """
import asyncio
from batchai_recipes import ClusterBuilder
from batchai_recipes.aio import TrainingSession

async def main():
    cluster = ClusterBuilder("c").vm_size("STANDARD_D1").nodes(1)
    async with TrainingSession(cluster, report=lambda line: print(line, flush=True)):
        print("inside", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_clean_up(environment, nothing_left, number):
    """Ctrl-C and SIGTERM alike."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        env=unmeasured(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.stdout.readline().strip() != "inside":
            assert process.poll() is None
        process.send_signal(number)
        told, _ = process.communicate(timeout=60)

    assert "Deleting resource group" in told
    assert process.returncode != 0
    nothing_left()
