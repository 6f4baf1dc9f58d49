"""`batchai-recipes cluster delete`."""

from batchai_recipes.cli.console import AsJson, Yes, confirm, show_json, tell
from batchai_recipes.cli.finding import ClusterName, Finder
from batchai_recipes.cli.offering import among_clusters
from batchai_recipes.session.made import Made


@among_clusters
def delete(finder: Finder, name: ClusterName, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a cluster and wait until it is gone."""
    place, cluster = finder.cluster(name)
    confirm(f"Delete cluster {place.cluster} of workspace {place.workspace}?", yes=yes)
    Made("cluster", place.names).delete(finder.connection)
    if as_json:
        show_json({"deleted": cluster.id})
    else:
        tell(f"Deleted cluster {place.cluster}")
