"""`batchai-recipes run`: one job of a configuration file, from nothing and back to nothing."""

import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir, connect
from batchai_recipes.cli.console import AsJson, say, show_json, tell
from batchai_recipes.cli.job.description import wire
from batchai_recipes.cli.job.download import download_all
from batchai_recipes.cli.job.output_directories import chosen_ids
from batchai_recipes.cli.run.job_cluster import JobClusterOptions, cluster_of
from batchai_recipes.cli.run.staged_shares import staged_shares
from batchai_recipes.errors import JobFailedError
from batchai_recipes.runs.job_run import JobRun
from batchai_recipes.session.training_session import TrainingSession


class CleanUpWord(str, Enum):
    """When a session deletes what it made."""

    ALWAYS = "always"
    ON_SUCCESS = "on_success"
    NEVER = "never"


_LOGS = ("stdout*.txt", "stderr*.txt")


def run(
    job_file: Annotated[Path, typer.Argument(metavar="JOB.json", help="The job's file.")],
    *,
    cluster_file: Annotated[
        Path | None,
        typer.Option(
            "--cluster",
            "-c",
            metavar="CLUSTER.json",
            help="The cluster's file; without one, it is of as many nodes as the job runs on.",
            show_default=False,
        ),
    ] = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[SHARE[/FOLDER]=]DIR",
            help="Put a local folder on a share first; by default on the one that the job reads "
            "from. May be given several times.",
            show_default=False,
        ),
    ] = None,
    mount: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SHARE=PLACE",
            help="Let the cluster mount this share, too, at $AZ_BATCHAI_MOUNT_ROOT/PLACE.",
            show_default=False,
        ),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option("--nodes", "-t", help="The cluster's number of nodes.", show_default=False),
    ] = None,
    vm_size: Annotated[
        str | None,
        typer.Option("--vm-size", "-s", help="The size of its nodes.", show_default=False),
    ] = None,
    outputs: Annotated[
        Path | None,
        typer.Option(
            help="Download what the job wrote into this folder, also when it failed.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", help="The job's name; by default the file's."),
    ] = None,
    keep_outputs: Annotated[
        bool, typer.Option("--keep-outputs", help="Leave the shares, with what is on them.")
    ] = False,
    clean_up: Annotated[
        CleanUpWord, typer.Option(help="When to delete what was made for the job.")
    ] = CleanUpWord.ALWAYS,
    idle_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Delete the cluster when it has had no job for so long.",
            show_default=False,
        ),
    ] = None,
    max_lifetime: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Delete the cluster after so long in any case, ending the job.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    state_dir: StateDir = None,
) -> None:
    """Run the job of a file of Batch AI's command line: make the cluster, run, delete all.

    Placeholders in the files, but for the storage account's, are filled from environment variables
    of their names. What the job's processes print goes to standard output, each line after its
    log's name; what happens around it goes to standard error.
    """
    with connect(profile, env_file, state_dir) as connection:
        storage = connection.storage
        job = JobBuilder.from_file(job_file, name=name, storage=storage, variables=os.environ)
        cluster = cluster_of(
            job,
            ClusterBuilder.from_file(cluster_file, storage=storage, variables=os.environ)
            if cluster_file
            else None,
            JobClusterOptions(mount or (), nodes, vm_size),
        )
        # So that a mistake is told before anything is made.
        job.build(cluster_id="", mounts=cluster.mounts, storage=storage)
        staging = staged_shares(job, cluster, stage or ())
        with TrainingSession(
            cluster,
            staging=staging,
            connection=connection,
            clean_up=clean_up.value,
            keep_outputs=keep_outputs,
            idle_timeout=idle_timeout,
            max_lifetime=max_lifetime,
            report=tell,
        ) as session:
            submitted = session.submit(job)
            failure = _follow(submitted, tell if as_json else say)
            ended = submitted.details()
            ids = chosen_ids(ended, None)
            downloaded = download_all(submitted, ids, outputs) if outputs else []
            if outputs:
                tell(f"Downloaded {len(downloaded)} files to {outputs}{os.sep}")
            if as_json:
                show_json({"job": wire(ended), "downloaded": [str(path) for path in downloaded]})
            if failure:
                raise failure


def _follow(submitted: JobRun, show: Callable[[str], None]) -> JobFailedError | None:
    """Show what a job prints until it has ended; return why it failed, if it did."""
    for line in submitted.stream(*_LOGS, prefix=True):
        show(line)
    try:
        submitted.wait()
    except JobFailedError as failure:
        return failure
    return None
