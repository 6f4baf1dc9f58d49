"""`batchai-recipes attach`: a session that was detached, to its end."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from batchai_recipes.cli.cleaning_up import CleanUpOption, CleanUpWord, KeepOutputs
from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir, connect
from batchai_recipes.cli.console import AsJson, say, show_json, tell
from batchai_recipes.cli.destination import checked_destination
from batchai_recipes.cli.run.detached import DAY_SECONDS
from batchai_recipes.cli.run.following import Ending, Outputs, follow
from batchai_recipes.errors import JobsFailedError
from batchai_recipes.session.training_session import TrainingSession


def attach(
    session: Annotated[str, typer.Argument(help="The session's id, as `run --detach` printed it.")],
    *,
    outputs: Outputs = None,
    keep_outputs: KeepOutputs = False,
    clean_up: CleanUpOption = CleanUpWord.ALWAYS,
    as_json: AsJson = False,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    state_dir: StateDir = None,
) -> None:
    """Take up a session that was detached: follow its jobs to their end, then delete all.

    Ctrl-C detaches it again, until its deadline as before; where it had none, for a day. To look
    without taking it up, use `job logs --follow`.
    """
    with connect(profile, env_file, state_dir) as connection:
        taken_up = TrainingSession.attach(
            session,
            connection=connection,
            clean_up=clean_up.value,
            keep_outputs=keep_outputs,
            report=tell,
        )
        if outputs:
            checked_destination(outputs)
        with taken_up:
            try:
                endings = _follow_all(taken_up, outputs, as_json=as_json)
            except (KeyboardInterrupt, SystemExit):
                taken_up.detach(taken_up.deadline or timedelta(seconds=DAY_SECONDS))
                raise
            if as_json:
                jobs = [ending.document() for ending in endings]
                show_json({"session": session, "jobs": jobs})
            _raise_failures(endings)


def _follow_all(session: TrainingSession, outputs: Path | None, *, as_json: bool) -> list[Ending]:
    """Follow one job after the other; with several, the outputs of each go to a folder of it."""
    runs = session.runs()
    endings = []
    for run in runs:
        if len(runs) > 1:
            tell(f"Job {run.name}")
        folder = outputs / run.name if outputs and len(runs) > 1 else outputs
        endings.append(follow(run, folder, tell if as_json else say))
    return endings


def _raise_failures(endings: list[Ending]) -> None:
    failures = [ending.failure for ending in endings if ending.failure]
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise JobsFailedError(f"{len(failures)} of {len(endings)} jobs failed", failures)
