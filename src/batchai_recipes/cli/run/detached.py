"""Sessions that go on without the command that began them: how long, and what is told of them."""

import shlex
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from attrs import frozen

from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.cli.console import say, show_json
from batchai_recipes.cli.job.description import wire
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.session.journal import peek
from batchai_recipes.session.training_session import TrainingSession

DAY_SECONDS: Final = 86_400.0
"""How long a detached session stays unless the user says so."""

Deadline = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="How long a detached session stays before it is deleted, its job with it; by default "
        "a day.",
        show_default=False,
    ),
]


def time_left(seconds: float | None) -> timedelta:
    """Return how long a session is to stay.

    Args:
        seconds: The same in seconds; None for a day.

    Raises:
        ConfigurationError: It is not above 0, or longer than time is counted.

    Example:
        >>> time_left(90)
        datetime.timedelta(seconds=90)
    """
    seconds = DAY_SECONDS if seconds is None else seconds
    if not seconds > 0:
        raise ConfigurationError(f"--deadline is {seconds:g}: give seconds above 0")
    try:
        left = timedelta(seconds=seconds)
        _ = datetime.now().astimezone() + left
    except OverflowError as error:
        raise ConfigurationError(f"--deadline is {seconds:g}: that is too long") from error
    return left


@frozen
class ServiceOptions:
    """The options that a user gave to say which service, to be repeated.

    Args:
        profile: A profile.
        env_file: A file of settings.
        state_dir: A state directory.
    """

    profile: str | None
    env_file: Path | None
    state_dir: Path | None

    def command(self, *words: str) -> str:
        """Return a command on the same service, that can be typed in any folder.

        Args:
            words: The command and its arguments.

        Example:
            >>> ServiceOptions(None, None, Path("/tmp/my state")).command("reap", "s")
            "batchai-recipes reap s --state-dir '/tmp/my state'"
        """
        line = ["batchai-recipes", *words]
        if self.profile is not None:
            line += ["--profile", self.profile]
        if self.env_file is not None:
            line += ["--env-file", str(self.env_file.absolute())]
        if self.state_dir is not None:
            line += ["--state-dir", str(self.state_dir.absolute())]
        return shlex.join(line)


def leave_running(
    session: TrainingSession,
    job: JobBuilder,
    left: timedelta,
    journals: Path,
    service: ServiceOptions,
    *,
    as_json: bool,
) -> None:
    """Submit a job, detach the session, and print what one can do with it.

    Args:
        session: The session, not entered yet.
        job: The job.
        left: How long it is to stay.
        journals: Where its journal is.
        service: Where it is.
        as_json: Whether to print JSON.
    """
    with session:
        submitted = session.submit(job).details()
        session.detach(left)
    content = peek(journals, session.id)
    deadline = content.deadline if content else None
    look = service.command("job", "logs", job.name, "--follow", "-e", session.names.experiment)
    commands = {
        "look": look,
        "takeUp": service.command("attach", session.id),
        "delete": service.command("reap", session.id),
    }
    if as_json:
        show_json(
            {
                "session": session.id,
                "detachedUntil": deadline.isoformat() if deadline else None,
                "job": wire(submitted),
                "commands": commands,
            }
        )
        return
    until = f", deleted at {deadline:%Y-%m-%d %H:%M} UTC" if deadline else ""
    say(f"Session:  {session.id}{until}")
    say(f"Look:     {commands['look']}")
    say(f"Take up:  {commands['takeUp']}")
    say(f"Delete:   {commands['delete']}")
