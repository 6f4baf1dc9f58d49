"""`batchai-recipes run`: one job of a configuration file, from nothing and back to nothing."""

import os
from pathlib import Path
from typing import Annotated

import typer

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.cli.cleaning_up import CleanUpOption, CleanUpWord, KeepOutputs
from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir, connect
from batchai_recipes.cli.console import AsJson, say, show_json, tell
from batchai_recipes.cli.destination import checked_destination
from batchai_recipes.cli.finding import Finder
from batchai_recipes.cli.run.detached import (
    Deadline,
    ServiceOptions,
    leave_running,
    time_left,
)
from batchai_recipes.cli.run.following import Outputs, follow
from batchai_recipes.cli.run.job_cluster import JobClusterOptions, cluster_of, used_cluster
from batchai_recipes.cli.run.staged_shares import staged_shares
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import checked_resource_name
from batchai_recipes.session.training_session import TrainingSession


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
    use_cluster: Annotated[
        str | None,
        typer.Option(
            "--use-cluster",
            metavar="NAME",
            help="Run on this cluster that exists, by its name or resource id. It is used as it "
            "is, and never deleted.",
            show_default=False,
        ),
    ] = None,
    resource_group: Annotated[
        str | None,
        typer.Option(
            "--resource-group",
            "-g",
            help="The resource group to run in; with --use-cluster, where to look for it. By "
            "default a new one, or that of the environment.",
            show_default=False,
        ),
    ] = None,
    workspace: Annotated[
        str | None,
        typer.Option(
            "--workspace",
            "-w",
            help="The workspace to make; with --use-cluster, where to look for it.",
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
    outputs: Outputs = None,
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", help="The job's name; by default the file's."),
    ] = None,
    keep_outputs: KeepOutputs = False,
    clean_up: CleanUpOption = CleanUpWord.ALWAYS,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach", help="End when the job is submitted, and say how to take it up again."
        ),
    ] = False,
    deadline: Deadline = None,
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
    left = time_left(deadline)
    _check_options(
        {"--outputs": outputs, "--keep-outputs": keep_outputs, "--clean-up": clean_up.value}
        if detach
        else {},
        "give it to `batchai-recipes attach`, not beside --detach",
    )
    _check_options(
        {} if detach else {"--deadline": deadline},
        "it is of a session that --detach leaves; --max-lifetime ends a job that takes too long",
    )
    _check_options(
        {
            "--cluster": cluster_file,
            "--mount": mount,
            "--nodes": nodes,
            "--vm-size": vm_size,
            "--idle-timeout": idle_timeout,
            "--max-lifetime": max_lifetime,
        }
        if use_cluster
        else {},
        "it says how a new cluster is to be, and --use-cluster takes one as it is",
    )
    with connect(profile, env_file, state_dir) as connection:
        storage = connection.storage
        if name is not None:
            checked_resource_name("job", name)
        job = JobBuilder.from_file(job_file, name=name, storage=storage, variables=os.environ)
        if use_cluster:
            finder = Finder(lambda: connection, resource_group, workspace)
            place, found = finder.cluster(use_cluster)
            resource_group, workspace = place.resource_group, place.workspace
            cluster = used_cluster(job, found, storage.name)
        else:
            cluster = cluster_of(
                job,
                ClusterBuilder.from_file(cluster_file, storage=storage, variables=os.environ)
                if cluster_file
                else None,
                JobClusterOptions(mount or (), nodes, vm_size),
            )
        # So that a mistake is told before anything is made.
        job.build(cluster_id="", mounts=cluster.mounts, storage=storage)
        session = TrainingSession(
            cluster,
            staging=staged_shares(job, cluster, stage or ()),
            connection=connection,
            resource_group=resource_group,
            workspace=workspace,
            use_existing=use_cluster is not None,
            clean_up=clean_up.value,
            keep_outputs=keep_outputs,
            idle_timeout=idle_timeout,
            max_lifetime=max_lifetime,
            report=tell,
        )
        if detach:
            options = ServiceOptions(profile, env_file, state_dir)
            leave_running(session, job, left, connection.journals, options, as_json=as_json)
        else:
            _run_to_its_end(session, job, outputs, as_json=as_json)


def _run_to_its_end(
    session: TrainingSession, job: JobBuilder, outputs: Path | None, *, as_json: bool
) -> None:
    if outputs:
        checked_destination(outputs)
    with session:
        ending = follow(session.submit(job), outputs, tell if as_json else say)
        if as_json:
            show_json(ending.document())
        if ending.failure:
            raise ending.failure


def _check_options(options: dict[str, object], why: str) -> None:
    """Refuse options that would have no effect."""
    given = [name for name, value in options.items() if value not in (None, False, "always")]
    if given:
        raise ConfigurationError(f"{given[0]}: {why}")
