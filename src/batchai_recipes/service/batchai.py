"""The Batch AI part of the service: its scheduler and its management plane.

It is a module of its own, so that who wants file shares only does not load it.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from attrs import frozen
from starlette.types import ASGIApp

from batchai_recipes.service.changes import Changes
from batchai_recipes.service.clock import Clock
from batchai_recipes.service.engines.containers import ContainerPolicy
from batchai_recipes.service.engines.engine import Engine, MountError
from batchai_recipes.service.engines.local import LocalEngine
from batchai_recipes.service.engines.ray.engine import RayEngine
from batchai_recipes.service.engines.ray.options import RayOptions
from batchai_recipes.service.file_server_disks import FileServerDisks
from batchai_recipes.service.files.accounts import Accounts
from batchai_recipes.service.files.nouns import Nouns
from batchai_recipes.service.files.sas import share_query
from batchai_recipes.service.identity.principals import Principals
from batchai_recipes.service.identity.tokens import Tokens
from batchai_recipes.service.management.app import Addresses, management_app
from batchai_recipes.service.management.operations import OPERATIONS_KEPT, forget_ended
from batchai_recipes.service.management.plane import ManagementPlane
from batchai_recipes.service.scheduling.preemption import Preemption
from batchai_recipes.service.scheduling.scheduler import Scheduler
from batchai_recipes.service.scheduling.volume_places import VolumePlaces
from batchai_recipes.service.sessions.caretaker import Caretaker
from batchai_recipes.service.sessions.joint_shares import JointShares
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.storage_endpoints import StorageEndpoints
from batchai_recipes.service.store import Store

# A job may wait for a node, and run, for a week; each task that is launched gets a new signature.
_READABLE_FOR: Final = timedelta(days=8)


@frozen
class BatchAI:
    """The parts that this one is made of.

    Args:
        state: Where everything lies.
        store: Where records lie.
        clock: Tells the time.
        tokens: Issues and checks tokens.
        principals: Who may ask for them.
        files: The file shares.
        addresses: Where the service can be reached.
        subscription_id: The service's only subscription.
        blob_endpoints: The URLs of the blob services of accounts that are not at Azure's own.
        containers: When jobs that name a container image run in it.
        scale_down_after: How long a node of a cluster with automatic scale may do nothing.
        preemptions_per_hour: How often a low-priority node is preempted on average; 0 for only on
            demand.
        memory_limit_bytes: How much memory each task of a job may have; None for all there is.
        ray: How to use a Ray cluster; None to run everything on this machine.
        until_unused: Whether nobody can ask for operations once the service has stopped.
    """

    state: StateDirectory
    store: Store
    clock: Clock
    tokens: Tokens
    principals: Principals
    files: Nouns
    addresses: Addresses
    subscription_id: str
    blob_endpoints: Mapping[str, str]
    containers: ContainerPolicy
    scale_down_after: timedelta
    preemptions_per_hour: float
    memory_limit_bytes: int | None
    ray: RayOptions | None
    until_unused: bool

    def start(self, undo: list[Callable[[], None]]) -> ASGIApp:
        """Start the scheduler, which takes up the jobs that an earlier service left running.

        Then what sees to sessions that no process has.

        Args:
            undo: Takes what stops it.

        Returns:
            The management plane, for a web server.
        """
        # Long enough for any client; without users, nobody can ask for any of them any more.
        forget_ended(self.store, before=self.clock.now() - OPERATIONS_KEPT)
        if self.until_unused:
            undo.append(lambda: forget_ended(self.store))
        changes = Changes()
        scheduler = Scheduler(
            store=self.store,
            clock=self.clock,
            changes=changes,
            engine=self._engine(),
            shares=self.files.shares,
            accounts=Accounts(self.store),
            places=VolumePlaces(
                state=self.state,
                disks=FileServerDisks(self.store, self.state),
                endpoints=StorageEndpoints(self.addresses.files_base, self.blob_endpoints),
            ),
            scale_down_after=self.scale_down_after,
            preemption=Preemption(self.preemptions_per_hour),
        )
        scheduler.start()
        undo.append(scheduler.stop)
        caretaker = self._caretaker(changes, scheduler)
        caretaker.start()
        undo.append(caretaker.stop)
        return management_app(
            state=self.state,
            store=self.store,
            clock=self.clock,
            changes=changes,
            wake=scheduler.wake,
            tokens=self.tokens,
            principals=self.principals,
            addresses=lambda: self.addresses,
            subscription_id=self.subscription_id,
            tags_changed=caretaker.wake,
        )

    def _caretaker(self, changes: Changes, scheduler: Scheduler) -> Caretaker:
        plane = ManagementPlane(
            state=self.state,
            store=self.store,
            clock=self.clock,
            changes=changes,
            wake=scheduler.wake,
            addresses=lambda: self.addresses,
            subscription_id=self.subscription_id,
            tenant_id=self.tokens.tenant_id,
        )
        shares = JointShares(self.files.shares, self.files.gates, self.clock)
        return Caretaker(plane, shares)

    def _engine(self) -> Engine:
        if self.ray is None:
            return LocalEngine(
                self.state,
                containers=self.containers,
                memory_limit_bytes=self.memory_limit_bytes,
            )
        return RayEngine(
            self.state,
            self.ray,
            containers=self.containers,
            memory_limit_bytes=self.memory_limit_bytes,
            share_url=self._share_url,
        )

    def _share_url(self, account: str, share: str) -> tuple[str, str]:
        """Let a machine that does not see a share's folder read the share."""
        found = Accounts(self.store).get(account)
        if found is None:
            raise MountError(f"There is no storage account {account!r} any more")
        base = f"{self.addresses.files_base.rstrip('/')}/{account}/{share}"
        return base, share_query(found, share, expires_at=self.clock.now() + _READABLE_FOR)
