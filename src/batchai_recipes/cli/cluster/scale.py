"""`batchai-recipes cluster scale`."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from batchai_recipes.builders.scale import AutoScale, ManualScale
from batchai_recipes.cli.cluster.description import properties, wire
from batchai_recipes.cli.console import AsJson, show_json, show_properties, tell
from batchai_recipes.cli.finding import ClusterName, ClusterPlace, Finder
from batchai_recipes.cli.offering import among_clusters
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.session.cluster_state import wait_until_ready

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Cluster

    from batchai_recipes.connection import Connection


@among_clusters
def scale(
    finder: Finder,
    name: ClusterName,
    *,
    nodes: Annotated[
        int | None,
        typer.Option("--nodes", "-t", help="Keep so many nodes.", show_default=False),
    ] = None,
    minimum: Annotated[
        int | None,
        typer.Option("--min", help="Have at least so many nodes.", show_default=False),
    ] = None,
    maximum: Annotated[
        int | None,
        typer.Option("--max", help="Have at most so many nodes.", show_default=False),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the nodes are ready.")] = False,
    as_json: AsJson = False,
) -> None:
    """Keep a cluster at --nodes, or let it follow its jobs between --min and --max."""
    wanted = _wanted(nodes, minimum, maximum)
    place, _ = finder.cluster(name)
    connection = finder.connection
    cluster = _update(connection, place, wanted)
    if wait:
        look = partial(_get, connection, place)
        wait_until_ready(place.cluster, look, report=tell, pacing=Pacing(), timeout=None)
        cluster = look()
    if as_json:
        show_json(wire(cluster))
    else:
        show_properties(properties(cluster))


def _wanted(nodes: int | None, minimum: int | None, maximum: int | None) -> ManualScale | AutoScale:
    if nodes is not None and minimum is None and maximum is None:
        return ManualScale.checked(nodes, None)
    if nodes is None and minimum is not None and maximum is not None:
        return AutoScale.checked(minimum, maximum, 0)
    raise ConfigurationError("Give either --nodes, or both --min and --max")


def _update(
    connection: "Connection", place: ClusterPlace, wanted: ManualScale | AutoScale
) -> "Cluster":
    from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

    parameters = models.ClusterUpdateParameters(scale_settings=wanted.model())
    with explained(f"scale cluster {place.cluster}"):
        return connection.batchai.clusters.update(*place.names, parameters)


def _get(connection: "Connection", place: ClusterPlace) -> "Cluster":
    with explained(f"get cluster {place.cluster}"):
        return connection.batchai.clusters.get(*place.names)
