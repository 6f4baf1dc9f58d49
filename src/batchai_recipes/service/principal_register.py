"""The principals of a state directory, whether or not a service runs on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attrs import evolve, frozen

from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.clock import Clock, SystemClock
from batchai_recipes.service.credentials import Credentials
from batchai_recipes.service.file_lock import FileLock
from batchai_recipes.service.identity.principals import (
    Principal,
    PrincipalError,
    Principals,
    Secret,
)
from batchai_recipes.service.state_directory import StateDirectory, write_private
from batchai_recipes.service.store import Store

OWN_NAME: Final = "service"
"""What the principal is called that a service makes for itself and its library."""


@frozen
class PrincipalRegister:
    """Lists and changes the principals of a state directory.

    A running service heeds each change at once.

    Args:
        state: The state directory.
        principals: What is recorded there.
        clock: Tells the time.
    """

    state: StateDirectory
    principals: Principals
    clock: Clock

    @classmethod
    @contextmanager
    def open(
        cls, state: StateDirectory, clock: Clock | None = None
    ) -> Iterator["PrincipalRegister"]:
        """Open the register of a state directory until the block ends.

        Args:
            state: The state directory; made where it is missing.
            clock: Tells the time; the machine's own where it is None.

        Raises:
            StateTooNewError: The state directory was written by a later release.
            StateTooOldError: A service of an earlier release runs on it.
            OSError: The state directory cannot be read or written.
            ValueError: A file of the state directory is damaged.
        """
        state.create()
        lock = FileLock(state.lock)
        # The records must not be brought forward under a service that runs on them.
        idle = lock.try_exclusive()
        try:
            credentials = Credentials.ensure(state)
            store = Store(state.database, migrate=idle)
            try:
                principals = Principals(store)
                if not principals.exists(credentials.client_id):
                    record_own(principals, credentials)
                yield cls(state, principals, clock or SystemClock())
            finally:
                store.close()
        finally:
            lock.release()

    def add(self, name: str) -> Secret:
        """Make a principal.

        Args:
            name: What people are to call it.

        Returns:
            The principal with its secret, which is told only now.

        Raises:
            PrincipalError: The name is no name, or taken.
        """
        tenant_id = Credentials.ensure(self.state).tenant_id
        return self.principals.create(name, tenant_id, self.clock)

    def rotate(self, which: str) -> Secret:
        """Give a principal a new secret; the old one is refused from now on.

        Args:
            which: Its client id or its name, in any case.

        Returns:
            The principal with its secret, which is told only now.

        Raises:
            PrincipalError: There is no such principal.
        """
        rotated = self.principals.rotate(which, self.clock)
        credentials = Credentials.ensure(self.state)
        if rotated.principal.client_id == credentials.client_id:
            # The library reads the service's own secret from these files.
            evolve(credentials, client_secret=rotated.value).save(self.state)
            if self.state.address.exists():
                address = ServiceAddress.from_file(self.state.address)
                changed = evolve(address, client_secret=rotated.value)
                write_private(self.state.address, changed.as_json())
        return rotated

    def remove(self, which: str) -> Principal:
        """Remove a principal; its secret and its tokens are refused from now on.

        Args:
            which: Its client id or its name, in any case.

        Returns:
            What it was.

        Raises:
            PrincipalError: There is no such principal, or it is the service's own.
        """
        principal = self.principals.find(which)
        if principal is not None and self.is_own(principal):
            raise PrincipalError(
                f"The principal {principal.name!r} is the service's own, which its library signs "
                "in with: rotate its secret instead"
            )
        return self.principals.remove(which)

    def is_own(self, principal: Principal) -> bool:
        """Tell whether a principal is the one that the service made for itself.

        Args:
            principal: The principal.
        """
        return principal.client_id == Credentials.ensure(self.state).client_id


def record_own(principals: Principals, credentials: Credentials) -> None:
    """Record the principal that a service makes for itself.

    Args:
        principals: The service's principals.
        credentials: What the service calls itself.
    """
    principals.add(
        credentials.client_id, credentials.tenant_id, credentials.client_secret, OWN_NAME
    )
