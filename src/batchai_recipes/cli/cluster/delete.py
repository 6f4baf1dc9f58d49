"""`batchai-recipes cluster delete`."""

from batchai_recipes.cli.console import AsJson, Yes
from batchai_recipes.cli.deletion import delete_when_confirmed
from batchai_recipes.cli.finding import ClusterName, Finder
from batchai_recipes.cli.offering import among_clusters
from batchai_recipes.session.made import Made


@among_clusters
def delete(finder: Finder, name: ClusterName, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a cluster and wait until it is gone."""
    place, cluster = finder.cluster(name)
    doomed, within = Made("cluster", place.names), f"workspace {place.workspace}"
    delete_when_confirmed(
        finder.connection, doomed, cluster.id, within=within, yes=yes, as_json=as_json
    )
