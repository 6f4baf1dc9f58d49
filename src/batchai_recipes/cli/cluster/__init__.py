"""`batchai-recipes cluster`: looking at clusters, scaling and deleting them."""

from batchai_recipes.cli.cluster.delete import delete
from batchai_recipes.cli.cluster.list_clusters import list_clusters
from batchai_recipes.cli.cluster.scale import scale
from batchai_recipes.cli.cluster.show import show
from batchai_recipes.cli.group import command_group

cluster = command_group("cluster", "Look at clusters, scale and delete them.")
cluster.command("list")(list_clusters)
cluster.command()(show)
cluster.command()(scale)
cluster.command()(delete)
