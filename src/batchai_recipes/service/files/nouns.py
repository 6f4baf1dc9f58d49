"""The nouns of the file service, put together."""

from attrs import frozen

from batchai_recipes.service.clock import Clock
from batchai_recipes.service.files.call import Call
from batchai_recipes.service.files.copy_sources import CopySources
from batchai_recipes.service.files.copying import Copying
from batchai_recipes.service.files.delegation_keys import DelegationKeys
from batchai_recipes.service.files.directories import Directories
from batchai_recipes.service.files.entries import Entries
from batchai_recipes.service.files.files import Files
from batchai_recipes.service.files.gates import Gates
from batchai_recipes.service.files.guard import Guard
from batchai_recipes.service.files.locks import InodeLocks
from batchai_recipes.service.files.permissions import Permissions
from batchai_recipes.service.files.quotas import Quotas
from batchai_recipes.service.files.ranges import Ranges
from batchai_recipes.service.files.renaming import Renaming
from batchai_recipes.service.files.service_properties import ServiceProperties
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.files.snapshots import Snapshots
from batchai_recipes.service.files.stamps import Stamps
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store


@frozen
class Nouns:
    """Everything that an operation can be about.

    Args:
        shares: The shares.
        directories: Their directories.
        files: Their files.
        renaming: Gives files and directories other names.
        copying: Copies files.
        ranges: The ranges of the files.
        snapshots: The snapshots of the shares.
        gates: Keep clients from changing a share while a snapshot is made of it.
        permissions: The security descriptors of the shares.
        sources: Finds the files that requests name by URL.
        clock: Tells the time.
        delegation_keys: Makes user delegation keys; None where there are no tokens.
        service_properties: What was set of the accounts' file services.
    """

    shares: Shares
    directories: Directories
    files: Files
    renaming: Renaming
    copying: Copying
    ranges: Ranges
    snapshots: Snapshots
    gates: Gates
    permissions: Permissions
    sources: CopySources
    clock: Clock
    delegation_keys: DelegationKeys | None
    service_properties: ServiceProperties

    def guard(self, call: Call) -> Guard:
        """Return what must hold for a request to be carried out.

        Args:
            call: The request.
        """
        return Guard(call.headers, self.clock.now())

    @classmethod
    def of(
        cls,
        state: StateDirectory,
        store: Store,
        clock: Clock,
        sources: CopySources,
        *,
        delegation_keys: DelegationKeys | None = None,
    ) -> "Nouns":
        """Put the nouns of one service together.

        Args:
            state: Where shares have their folders.
            store: Where they are recorded.
            clock: Tells the time of changes.
            sources: Finds the files that requests name by URL.
            delegation_keys: Makes user delegation keys; None where there are no tokens.
        """
        shares = Shares(store, state, clock)
        entries, stamps = Entries(store), Stamps(clock)
        quotas = Quotas(shares)
        # Two sets, since making a file holds one lock of each.
        names, contents = InodeLocks(), InodeLocks()
        gates = Gates()
        return cls(
            shares,
            Directories(shares, entries, stamps, names),
            Files(shares, entries, stamps, names, contents, quotas=quotas),
            Renaming(shares, entries, stamps, names),
            Copying(shares, entries, stamps, names, quotas=quotas, state=state),
            Ranges(shares, entries, stamps, contents),
            Snapshots(store, state, shares, stamps, gates),
            gates,
            Permissions(store, shares),
            sources,
            clock,
            delegation_keys,
            ServiceProperties(store),
        )
