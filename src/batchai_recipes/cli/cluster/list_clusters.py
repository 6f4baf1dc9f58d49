"""`batchai-recipes cluster list`."""

from batchai_recipes.cli.cluster.description import COLUMNS, row, wire
from batchai_recipes.cli.console import AsJson, show_json, show_table, tell
from batchai_recipes.cli.finding import Finder
from batchai_recipes.cli.offering import among_clusters


@among_clusters
def list_clusters(finder: Finder, *, as_json: AsJson = False) -> None:
    """List the clusters of the subscription, a group or a workspace."""
    clusters = finder.clusters()
    if as_json:
        show_json([wire(cluster) for cluster in clusters])
    elif clusters:
        show_table(COLUMNS, [row(cluster) for cluster in clusters])
    else:
        tell("There is no cluster")
