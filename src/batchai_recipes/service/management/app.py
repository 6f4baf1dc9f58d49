"""The management plane put together: what happens to a request, in order.

1. :class:`RequestIds` gives it an id, which every answer carries and the log names.
2. :class:`Routes` finds its endpoint by the path, without regard to case.
3. The identity endpoints answer those who come for a token, and :class:`Metrics` those who watch.
4. :class:`Authentication` turns away everyone without a token (401).
5. A path that nothing answers, or not by this method, is refused (404, 405).
6. The API version must be one that the noun has (400).
7. The subscription must be the service's own (404).
8. The body, where there is one, must be JSON of a sensible size (400, 413, 415).
9. Who asks for the end of an operation waits for it a moment, in :class:`OperationEnds`.
10. The noun's handler checks names and properties and reads or changes the records: on the event
    loop where that is quick, else in a worker thread.
11. Whatever was refused on the way leaves in Azure's shape of an error.

:class:`Pipeline` is that order in code.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from starlette.types import ASGIApp

from batchai_recipes.service.changes import Changes
from batchai_recipes.service.clock import Clock
from batchai_recipes.service.identity.app import Identity
from batchai_recipes.service.identity.principals import Principals
from batchai_recipes.service.identity.tokens import Tokens
from batchai_recipes.service.management import (
    clusters,
    experiments,
    file_servers,
    jobs,
    operations,
    provider_operations,
    providers,
    resource_groups,
    storage_accounts,
    subscriptions,
    usages,
    workspaces,
)
from batchai_recipes.service.management.authentication import Authentication
from batchai_recipes.service.management.metrics import Metrics
from batchai_recipes.service.management.operation_ends import OperationEnds
from batchai_recipes.service.management.pipeline import Pipeline
from batchai_recipes.service.management.plane import Addresses, ManagementPlane
from batchai_recipes.service.management.routing import Routes
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

__all__ = ["Addresses", "management_app"]

ENDPOINTS: Final = (
    *subscriptions.ROUTES,
    *providers.ROUTES,
    *resource_groups.ROUTES,
    *storage_accounts.ROUTES,
    *provider_operations.ROUTES,
    *usages.ROUTES,
    *workspaces.ROUTES,
    *clusters.ROUTES,
    *file_servers.ROUTES,
    *experiments.ROUTES,
    *jobs.ROUTES,
    *operations.ROUTES,
)
"""Every endpoint of the management plane."""

_WORKERS: Final = 16


def management_app(
    *,
    state: StateDirectory,
    store: Store,
    clock: Clock,
    changes: Changes,
    wake: Callable[[], None],
    tokens: Tokens,
    principals: Principals,
    addresses: Callable[[], Addresses],
    subscription_id: str,
    tags_changed: Callable[[], None] = lambda: None,
) -> ASGIApp:
    """Return the management plane with the identity endpoints.

    Args:
        state: Where files lie.
        store: Where records lie.
        clock: Tells the time.
        changes: Rings when the scheduler has changed records.
        wake: Tells the scheduler that records were changed.
        tokens: Issues and checks tokens.
        principals: Who may ask for them.
        addresses: Tells where the service can be reached; asked at each use.
        subscription_id: The service's only subscription.
        tags_changed: Told that the tags of a workspace were changed.
    """
    plane = ManagementPlane(
        state=state,
        store=store,
        clock=clock,
        changes=changes,
        wake=wake,
        addresses=addresses,
        subscription_id=subscription_id,
        tenant_id=tokens.tenant_id,
        tags_changed=tags_changed,
    )
    identity = Identity(principals=principals, tokens=tokens, clock=clock)
    metrics = Metrics(store)
    return Pipeline(
        plane=plane,
        routes=Routes(ENDPOINTS),
        open_routes=(*identity.routes(), *metrics.routes()),
        authentication=Authentication(tokens, principals),
        metrics=metrics,
        ends=OperationEnds(store, changes),
        workers=ThreadPoolExecutor(_WORKERS, thread_name_prefix="management"),
    )
