"""Options that all commands that talk to a service have, and the connection that they name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batchai_recipes.errors import ConfigurationError

if TYPE_CHECKING:
    from batchai_recipes.connection import Connection

_PANEL = "Connection"

ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="Connect as this profile of the profile file says.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]


def a_folder(text: str) -> Path:
    """Read the option of a folder; an empty text, as of a variable that is not set, names none.

    Args:
        text: The folder's path.

    Raises:
        BadParameter: It is empty.
    """
    if not text:
        raise typer.BadParameter("it is empty; name a folder")
    return Path(text)


EnvFile = Annotated[
    Path | None,
    typer.Option(
        help="Connect as this file of shell assignments says, such as `serve --env-file` writes.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
StateDir = Annotated[
    Path | None,
    typer.Option(
        parser=a_folder,
        metavar="<path>",
        help="Use the embedded service of this state directory.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]


def connect(profile: str | None, env_file: Path | None, state_dir: Path | None) -> "Connection":
    """Connect as the options say; without any, as :meth:`Connection.default` does.

    Args:
        profile: A profile of the profile file.
        env_file: A file of settings.
        state_dir: The state directory of an embedded service.

    Raises:
        ConfigurationError: Several are given, or the settings are incomplete.
        ServiceStartError: The embedded service did not start.
    """
    from batchai_recipes.connection import Connection  # noqa: PLC0415 - loaded on first use
    from batchai_recipes.settings import ConnectionSettings  # noqa: PLC0415 - likewise

    named = {"--profile": profile, "--env-file": env_file, "--state-dir": state_dir}
    given = [option for option, value in named.items() if value is not None]
    if len(given) > 1:
        raise ConfigurationError(f"{' and '.join(given)} name different services: give one")
    if profile is not None:
        return Connection.from_profile(profile)
    if env_file is not None:
        return Connection(ConnectionSettings.from_file(env_file))
    return Connection.embedded(state_dir) if state_dir is not None else Connection.default()
