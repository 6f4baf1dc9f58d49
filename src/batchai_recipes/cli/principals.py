"""`batchai-recipes serve principals`: who may sign in to a service."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batchai_recipes.cli.connecting import a_folder
from batchai_recipes.cli.console import AsJson, fail, say, show_json
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.settings import default_state_dir

if TYPE_CHECKING:
    from batchai_recipes.service.identity.principals import Secret
    from batchai_recipes.service.principal_register import PrincipalRegister

principals = typer.Typer(
    name="principals",
    help="List, add and remove who may sign in, and rotate their secrets. A running service heeds "
    "it at once.",
    no_args_is_help=True,
)

_StateDir = Annotated[
    Path | None,
    typer.Option(
        help="The service's state directory.",
        show_default=False,
        parser=a_folder,
        metavar="<path>",
    ),
]
_Which = Annotated[str, typer.Argument(help="The principal's client id or its name.")]


@principals.command("list")
def list_all(
    context: typer.Context, state_dir: _StateDir = None, *, as_json: AsJson = False
) -> None:
    """List the principals."""
    with _register(context, state_dir) as register:
        known = list(register.principals.all())
        if as_json:
            show_json(
                [
                    {
                        "clientId": one.client_id,
                        "name": one.name,
                        "createdAt": one.created_at or None,
                        "rotatedAt": one.rotated_at or None,
                    }
                    for one in known
                ]
            )
            return
        for one in known:
            rotated = f", secret of {one.rotated_at}" if one.rotated_at else ""
            made = f", made {one.created_at}" if one.created_at else ""
            say(f"{one.client_id}  {one.name}{made}{rotated}")


@principals.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What to call it.")],
    state_dir: _StateDir = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Add a principal; its secret is shown only now."""
    with _register(context, state_dir, must_exist=False) as register:
        _show(register.add(name), as_json=as_json)


@principals.command()
def rotate(
    context: typer.Context, which: _Which, state_dir: _StateDir = None, *, as_json: AsJson = False
) -> None:
    """Give a principal a new secret, shown only now; the old one is refused from now on."""
    with _register(context, state_dir) as register:
        _show(register.rotate(which), as_json=as_json)


@principals.command()
def remove(
    context: typer.Context, which: _Which, state_dir: _StateDir = None, *, as_json: AsJson = False
) -> None:
    """Remove a principal; its secret and its tokens are refused from now on."""
    with _register(context, state_dir) as register:
        gone = register.remove(which)
        if as_json:
            show_json({"removed": {"clientId": gone.client_id, "name": gone.name}})
        else:
            say(f"Removed {gone.client_id} {gone.name}")


@contextmanager
def _register(
    context: typer.Context, state_dir: Path | None, *, must_exist: bool = True
) -> Iterator["PrincipalRegister"]:
    # The service's own packages are loaded by these commands alone.
    from batchai_recipes.service.identity.principals import PrincipalError  # noqa: PLC0415 - see above
    from batchai_recipes.service.principal_register import PrincipalRegister  # noqa: PLC0415 - see above
    from batchai_recipes.service.state_directory import StateDirectory  # noqa: PLC0415 - see above
    from batchai_recipes.service.store import StateTooNewError, StateTooOldError  # noqa: PLC0415 - see above

    folder: Path = state_dir or context.obj or default_state_dir()
    if must_exist and not folder.is_dir():
        fail(ConfigurationError(f"There is no state directory {folder}: name one by --state-dir"))
    try:
        with PrincipalRegister.open(StateDirectory(folder.absolute())) as register:
            yield register
    except PrincipalError as error:
        fail(ConfigurationError(str(error)))
    except (StateTooNewError, StateTooOldError, OSError, ValueError) as error:
        fail(error)


def _show(secret: "Secret", *, as_json: bool) -> None:
    """Print what signs a principal in, as shell assignments that a client's settings take."""
    if as_json:
        show_json(
            {
                "name": secret.principal.name,
                "tenantId": secret.principal.tenant_id,
                "clientId": secret.principal.client_id,
                "clientSecret": secret.value,
            }
        )
        return
    say(f"# {secret.principal.name}: the secret is shown only now")
    for name, value in (
        ("AZURE_TENANT_ID", secret.principal.tenant_id),
        ("AZURE_CLIENT_ID", secret.principal.client_id),
        ("AZURE_CLIENT_SECRET", secret.value),
    ):
        say(f"{name}={shlex.quote(value)}")
