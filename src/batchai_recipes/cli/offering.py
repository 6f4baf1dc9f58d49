"""Options that many commands have, offered once: where to connect, and where to look."""

import inspect
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import wraps
from typing import Concatenate, Final, ParamSpec, cast

from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir, connect
from batchai_recipes.cli.finding import ExperimentName, Finder, Group, WorkspaceName

P = ParamSpec("P")

_CONNECTION: Final[Mapping[str, object]] = {
    "profile": ProfileName,
    "env_file": EnvFile,
    "state_dir": StateDir,
}
_OF_CLUSTERS: Final[Mapping[str, object]] = {"resource_group": Group, "workspace": WorkspaceName}
_OF_JOBS: Final[Mapping[str, object]] = {**_OF_CLUSTERS, "experiment": ExperimentName}


def among_clusters(command: Callable[Concatenate[Finder, P], None]) -> Callable[..., None]:
    """Give a command the options that say which service, group and workspace to look in.

    Args:
        command: The command; its first parameter is what finds clusters there.

    Example:
        >>> def show(finder: Finder, name: str) -> None: ...
        >>> list(inspect.signature(among_clusters(show)).parameters)
        ['name', 'resource_group', 'workspace', 'profile', 'env_file', 'state_dir']
    """
    return _offering(command, _OF_CLUSTERS)


def among_jobs(command: Callable[Concatenate[Finder, P], None]) -> Callable[..., None]:
    """Give a command the options of :func:`among_clusters`, and the one of an experiment.

    Args:
        command: The command; its first parameter is what finds jobs there.
    """
    return _offering(command, _OF_JOBS)


def _offering(
    command: Callable[Concatenate[Finder, P], None], places: Mapping[str, object]
) -> Callable[..., None]:
    @wraps(command)
    def offered(**given: object) -> None:
        looked_in = {name: cast("str | None", given.pop(name)) for name in places}
        # The command line's parser has checked their types.
        connecting = {name: given.pop(name) for name in _CONNECTION}
        with ExitStack() as closing:
            finder = Finder(
                lambda: closing.enter_context(connect(**connecting)),  # type: ignore[arg-type]
                **looked_in,
            )
            command(finder, **given)  # type: ignore[arg-type, call-arg]

    own = inspect.signature(command)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in {**places, **_CONNECTION}.items()
    ]
    # What the parser goes by.
    parameters = [*[*own.parameters.values()][1:], *options]
    offered.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    offered.__annotations__ = {one.name: one.annotation for one in parameters}
    return offered
