"""What every handler of the management plane works with."""

from collections.abc import Callable
from datetime import datetime

from attrs import frozen

from batchai_recipes.service.changes import Changes
from batchai_recipes.service.clock import Clock
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store


@frozen
class Addresses:
    """Where the service can be reached.

    Args:
        management_base: The management plane, as ``https://127.0.0.1:8443``.
        files_base: The file shares, as ``http://127.0.0.1:8080``.
    """

    management_base: str
    files_base: str


@frozen
class ManagementPlane:
    """The parts of the service that handlers use.

    Args:
        state: Where files lie.
        store: Where records lie.
        clock: Tells the time.
        changes: Rings when the scheduler has changed records.
        wake: Tells the scheduler that records were changed.
        addresses: Tells where the service can be reached.
        subscription_id: The service's only subscription.
        tenant_id: The tenant that it belongs to.
        tags_changed: Told that the tags of a workspace were changed.
    """

    state: StateDirectory
    store: Store
    clock: Clock
    changes: Changes
    wake: Callable[[], None]
    addresses: Callable[[], Addresses]
    subscription_id: str
    tenant_id: str
    tags_changed: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        """Return the present time."""
        return self.clock.now()

    @property
    def base(self) -> str:
        """The address of the management plane."""
        return self.addresses().management_base
