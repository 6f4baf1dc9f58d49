"""`batchai-recipes serve`: the service in the foreground."""

import logging
import sys
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batchai_recipes.cli.connecting import a_folder
from batchai_recipes.cli.console import AsJson, fail, say, show_json, tell
from batchai_recipes.cli.principals import principals
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.settings import default_state_dir

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

if TYPE_CHECKING:
    from batchai_recipes.service.address import ServiceAddress

serve = typer.Typer(name="serve", invoke_without_command=True)
serve.add_typer(principals)


class LogLevel(str, Enum):
    """How much the service tells on standard error."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


class ContainerUse(str, Enum):
    """When jobs that name a container image run in it."""

    auto = "auto"
    require = "require"
    never = "never"


class Part(str, Enum):
    """A part of the service that can be had on its own."""

    files = "files"


class EngineName(str, Enum):
    """Where jobs run."""

    local = "local"
    ray = "ray"


class RayStrategy(str, Enum):
    """How the nodes of a cluster lie on the machines of a Ray cluster."""

    strict_spread = "STRICT_SPREAD"
    spread = "SPREAD"
    pack = "PACK"


@serve.callback()
def run_service(
    context: typer.Context,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where the service keeps everything.",
            show_default=False,
            parser=a_folder,
            metavar="<path>",
        ),
    ] = None,
    *,
    only: Annotated[
        Part | None,
        typer.Option(
            help="Run a part on its own: file shares, without the management plane and jobs.",
            show_default=False,
        ),
    ] = None,
    management_port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Port of the management plane and tokens; 0 for any."),
    ] = 0,
    files_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the file shares (http); 0 for any.")
    ] = 0,
    files_https_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the file shares (https); 0 for any.")
    ] = 0,
    account: Annotated[
        str | None,
        typer.Option(
            envvar="BATCHAI_RECIPES_ACCOUNT",
            help="The storage account to tell clients of; made where it is missing.",
            show_default=False,
        ),
    ] = None,
    account_key: Annotated[
        str | None,
        typer.Option(
            envvar="BATCHAI_RECIPES_ACCOUNT_KEY",
            help="Its key, base64; without one, the key that it has, or a new one.",
            show_default=False,
        ),
    ] = None,
    blob_endpoint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ACCOUNT=URL",
            envvar="BATCHAI_RECIPES_BLOB_ENDPOINTS",
            help="Where the blob service of an account is that containers are mounted from, if it "
            "is not https://ACCOUNT.blob.core.windows.net; may be given several times.",
            show_default=False,
        ),
    ] = None,
    env_file: Annotated[
        Path | None,
        typer.Option(help="Write the settings for clients here, as shell assignments."),
    ] = None,
    containers: Annotated[
        ContainerUse,
        typer.Option(
            envvar="BATCHAI_RECIPES_CONTAINERS",
            help="Whether jobs that name a container image run in it: auto where Docker or Podman "
            "has the image or can have it from the registry named, else on the host; require or "
            "fail; never.",
        ),
    ] = ContainerUse.auto,
    memory_limit: Annotated[
        int | None,
        typer.Option(
            min=16,
            metavar="MIB",
            help="How much memory each task of a job may have: all its processes together where "
            "control groups permit that, else each of them.",
            show_default="all there is",
        ),
    ] = None,
    engine: Annotated[
        EngineName,
        typer.Option(help="Where jobs run: on this machine, or on the machines of a Ray cluster."),
    ] = EngineName.local,
    ray_address: Annotated[
        str,
        typer.Option(
            metavar="auto|HOST:PORT",
            help="The head of the Ray cluster; auto for the cluster that this machine is in.",
        ),
    ] = "auto",
    ray_strategy: Annotated[
        RayStrategy,
        typer.Option(
            case_sensitive=False,
            help="How the nodes of a cluster lie on Ray's machines: each on one of its own, apart "
            "where possible, or together where possible.",
        ),
    ] = RayStrategy.strict_spread,
    ray_node_folder: Annotated[
        str,
        typer.Option(help="The folder on each machine in which nodes keep what they need."),
    ] = "/var/tmp/batchai-recipes",  # noqa: S108  # private folders are made in it
    ray_cache: Annotated[
        float,
        typer.Option(
            min=0.0,
            metavar="GIB",
            help="How much of the shares that a machine does not see it keeps between jobs.",
        ),
    ] = 20.0,
    ray_patience: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="How long a node may wait for a machine of Ray before it is unusable.",
        ),
    ] = "PT10M",
    host: Annotated[
        str, typer.Option(help="The address to listen on; other machines reach only others.")
    ] = "127.0.0.1",
    scale_down_after: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="How long a node of a cluster with automatic scale may do nothing, in ISO 8601.",
        ),
    ] = "PT6M",
    preemptions_per_hour: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="How often each low-priority node is preempted on average; 0 for never.",
        ),
    ] = 0.0,
    log_level: Annotated[
        LogLevel, typer.Option(help="What goes to standard error; info has a line per request.")
    ] = LogLevel.warning,
    as_json: AsJson = False,
) -> None:
    """Run the Azure-compatible service until Ctrl-C or SIGTERM."""
    context.obj = state_dir
    if context.invoked_subcommand is not None:
        return
    # The service's own packages are loaded by this command alone.
    from batchai_recipes.service.app import ServiceOptions  # noqa: PLC0415 - see above
    from batchai_recipes.service.duration import parse_duration  # noqa: PLC0415 - see above
    from batchai_recipes.service.engines.containers import parse_policy  # noqa: PLC0415 - see above
    from batchai_recipes.service.engines.ray.options import RayOptions  # noqa: PLC0415 - see above
    from batchai_recipes.service.listener import ListenerError, PortInUseError  # noqa: PLC0415 - see above
    from batchai_recipes.service.log import start_log  # noqa: PLC0415 - see above
    from batchai_recipes.service.process import StateInUseError, run  # noqa: PLC0415 - see above
    from batchai_recipes.service.state_directory import StateDirectory  # noqa: PLC0415 - see above
    from batchai_recipes.service.storage_endpoints import parse_blob_endpoints  # noqa: PLC0415 - see above
    from batchai_recipes.service.store import StateTooNewError  # noqa: PLC0415 - see above

    if engine is not EngineName.ray:
        _refuse_ray_options(context)
    elif find_spec("ray") is None:
        fail(ValueError("Ray is not installed here: pip install 'batchai-recipes[ray]'"))
    start_log(getattr(logging, log_level.name.upper()))
    state = StateDirectory((state_dir or default_state_dir()).absolute())
    try:
        run(
            ServiceOptions(
                state,
                host=host,
                management_port=management_port,
                files_port=files_port,
                secure_files_port=files_https_port,
                only_files=only is Part.files,
                account_name=account or None,
                account_key=account_key or None,
                scale_down_after=parse_duration(scale_down_after),
                preemptions_per_hour=preemptions_per_hour,
                blob_endpoints=parse_blob_endpoints(" ".join(blob_endpoint or ())),
                containers=parse_policy(containers.value),
                memory_limit_bytes=memory_limit and memory_limit << 20,
                ray=RayOptions(
                    address=ray_address,
                    strategy=ray_strategy.value,
                    node_folder=ray_node_folder,
                    cache_bytes=int(ray_cache * (1 << 30)),
                    patience_seconds=parse_duration(ray_patience).total_seconds(),
                )
                if engine is EngineName.ray
                else None,
            ),
            env_file=env_file,
            announce=lambda address: (_announce_json if as_json else _announce)(
                address, state.root, env_file
            ),
        )
    except (StateInUseError, PortInUseError, StateTooNewError, ListenerError) as error:
        fail(error)
    except OSError as error:
        fail(OSError(f"{error.filename or state.root}: {error.strerror or error}"))
    except ValueError as error:  # the value of an option
        fail(ConfigurationError(str(error)))
    except ExceptionGroup as group:
        fail(RuntimeError("; ".join([group.message, *map(str, group.exceptions)])))
    (tell if as_json else say)("Stopped")


def _refuse_ray_options(context: typer.Context) -> None:
    """Refuse what would be without effect, lest somebody waits for machines that are not used."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name.startswith("ray_") and source is not None and source.name != "DEFAULT":
            option = f"--{name.replace('_', '-')}"
            fail(ConfigurationError(f"{option} has a meaning with --engine ray only: add that"))


def _announce_json(address: "ServiceAddress", state: Path, env_file: Path | None) -> None:
    """Print where the service is; no secret, which the file of settings has."""
    show_json(
        {
            "endpoint": address.endpoint,
            "filesEndpoint": address.files_endpoint,
            "secureFilesEndpoint": address.secure_files_endpoint,
            "caFile": address.ca_file,
            "stateDir": str(state),
            "envFile": None if env_file is None else str(env_file),
        }
    )


def _announce(address: "ServiceAddress", state: Path, env_file: Path | None) -> None:
    tokens = (
        "Tokens:                     " if address.only_files else "Management plane and tokens:"
    )
    say(f"{tokens} {address.endpoint}")
    say(f"File shares:                 {address.files_endpoint}")
    say(f"File shares, https:          {address.secure_files_endpoint}")
    say(f"Certificate authority:       {address.ca_file}")
    say(f"State directory:             {state}")
    if env_file is not None:
        say(f"Settings for clients:        {env_file}")
    if address.only_files:
        # What users of an emulator copy into their programs. It holds the key.
        for name, value in address.connection_strings.items():
            say(f"{name}={value}")
    say("Stop with Ctrl-C")
