"""`batchai-recipes cluster show`."""

from batchai_recipes.cli.cluster.description import properties, wire
from batchai_recipes.cli.console import AsJson, show_json, show_properties
from batchai_recipes.cli.finding import ClusterName, Finder
from batchai_recipes.cli.offering import among_clusters


@among_clusters
def show(finder: Finder, name: ClusterName, *, as_json: AsJson = False) -> None:
    """Show a cluster: its nodes and their states, what it mounts, what went wrong."""
    _, cluster = finder.cluster(name)
    if as_json:
        show_json(wire(cluster))
    else:
        show_properties(properties(cluster))
