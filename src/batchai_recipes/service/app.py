"""The service: its parts put together, in the order in which a request or a job meets them."""

import logging
import os
import socket
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from attrs import field, frozen

from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.changes import Changes
from batchai_recipes.service.clock import Clock, SystemClock
from batchai_recipes.service.credentials import Credentials
from batchai_recipes.service.engines.containers import ContainerPolicy
from batchai_recipes.service.engines.local import LocalEngine
from batchai_recipes.service.file_server_disks import FileServerDisks
from batchai_recipes.service.files.accounts import Accounts
from batchai_recipes.service.files.app import files_app
from batchai_recipes.service.files.server import FileServer
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.identity.certificates import ensure_authority, ensure_signing_key
from batchai_recipes.service.identity.principals import Principals
from batchai_recipes.service.identity.tokens import Tokens
from batchai_recipes.service.listener import Listener, TlsFiles, bind, is_loopback, reached_as
from batchai_recipes.service.management.app import Addresses, management_app
from batchai_recipes.service.management.operations import forget_ended
from batchai_recipes.service.principal_register import record_own
from batchai_recipes.service.scheduling.scheduler import Scheduler
from batchai_recipes.service.scheduling.volume_places import VolumePlaces
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.storage_endpoints import StorageEndpoints
from batchai_recipes.service.store import Store

LOOPBACK: Final = "127.0.0.1"
OPERATIONS_KEPT: Final = timedelta(days=7)

_OPEN_TO_OTHERS: Final = (
    "Listening on %s, where other machines reach the service: whoever has a principal's secret "
    "runs programs as you, and files go over the network unencrypted. Listen on 127.0.0.1, or let "
    "a firewall admit only those you trust."
)
_logger = logging.getLogger(__name__)


@frozen
class ServiceOptions:
    """How to run a service.

    Args:
        state: Where it keeps everything.
        host: The address to listen on; other machines reach what is not a loopback address.
        management_port: The port of the management plane and the token endpoint; 0 for any.
        files_port: The port of the file shares; 0 for any.
        blob_endpoints: The URLs of the blob services of accounts that are not at Azure's own.
        until_unused: Whether it stops when the last program that uses it has gone.
        clock: The time of day.
        containers: When jobs that name a container image run in it.
    """

    state: StateDirectory
    host: str = LOOPBACK
    management_port: int = 0
    files_port: int = 0
    blob_endpoints: Mapping[str, str] = field(factory=dict)
    until_unused: bool = False
    clock: Clock = field(factory=SystemClock)
    containers: ContainerPolicy = "auto"


class Service:
    """A running service; making one starts nothing, :meth:`start` does.

    Args:
        options: How to run it.
    """

    def __init__(self, options: ServiceOptions) -> None:
        self._options = options
        self._undo: list[Callable[[], None]] = []

    def start(self) -> ServiceAddress:
        """Start every part; returns when requests are answered.

        Returns:
            Where the service listens.

        Raises:
            PortInUseError: A port is taken.
            StateTooNewError: The state directory was written by a later release.
            OSError: The state directory cannot be written.
            ValueError: A file of the state directory is damaged.
        """
        try:
            return self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every part, the last one started first; running jobs go on."""
        while self._undo:
            self._undo.pop()()

    def _start(self) -> ServiceAddress:
        options, state, clock = self._options, self._options.state, self._options.clock

        # The records, and who may read them.
        credentials = Credentials.ensure(state)
        store = Store(state.database)
        self._undo.append(store.close)
        # Long enough for any client; without users, nobody can ask for any of them any more.
        forget_ended(store, before=clock.now() - OPERATIONS_KEPT)
        if options.until_unused:
            self._undo.append(lambda: forget_ended(store))
        accounts = Accounts(store)
        principals = Principals(store)
        _record(credentials, accounts, principals)

        # The ports, taken before anything else can go wrong and kept from then on.
        management_socket = bind(options.host, options.management_port)
        self._undo.append(management_socket.close)
        files_socket = bind(options.host, options.files_port)
        self._undo.append(files_socket.close)
        host = reached_as(options.host)
        addresses = Addresses(
            management_base=f"https://{_authority(host, management_socket)}",
            files_base=f"http://{_authority(host, files_socket)}",
        )
        if not is_loopback(options.host):
            _logger.warning(_OPEN_TO_OTHERS, options.host)

        # The scheduler, which takes up the jobs that an earlier service left running.
        changes = Changes()
        scheduler = Scheduler(
            store=store,
            clock=clock,
            changes=changes,
            engine=LocalEngine(state, containers=options.containers),
            shares=Shares(store, state, clock),
            accounts=accounts,
            places=VolumePlaces(
                state=state,
                disks=FileServerDisks(store, state),
                endpoints=StorageEndpoints(addresses.files_base, options.blob_endpoints),
            ),
        )
        scheduler.start()
        self._undo.append(scheduler.stop)

        # The file shares: http, since every request carries its own signature.
        handle = files_app(state=state, store=store, clock=clock).handle
        files = FileServer(handle, files_socket)
        files.start()
        self._undo.append(files.stop)

        # The management plane with the token endpoint: https, since the Azure clients insist.
        certificates = ensure_authority(state.certificates, clock, host=host)
        management = Listener(
            management_app(
                state=state,
                store=store,
                clock=clock,
                changes=changes,
                wake=scheduler.wake,
                tokens=Tokens(
                    ensure_signing_key(state.certificates),
                    issuer=lambda: addresses.management_base,
                    tenant_id=credentials.tenant_id,
                    clock=clock,
                ),
                principals=principals,
                addresses=lambda: addresses,
                subscription_id=credentials.subscription_id,
            ),
            management_socket,
            tls=TlsFiles(str(certificates.server_cert_file), str(certificates.server_key_file)),
        )
        management.start()
        self._undo.append(management.stop)
        return _address(
            credentials, addresses, certificates.ca_file, until_unused=options.until_unused
        )


def _record(credentials: Credentials, accounts: Accounts, principals: Principals) -> None:
    if accounts.get(credentials.account_name) is None:
        accounts.create(
            credentials.account_name, credentials.account_key, credentials.second_account_key
        )
    record_own(principals, credentials)


def _authority(host: str, taken: socket.socket) -> str:
    port = taken.getsockname()[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(
    credentials: Credentials, addresses: Addresses, ca_file: Path, *, until_unused: bool
) -> ServiceAddress:
    return ServiceAddress(
        endpoint=addresses.management_base,
        ca_file=str(ca_file),
        tenant_id=credentials.tenant_id,
        client_id=credentials.client_id,
        client_secret=credentials.client_secret,
        subscription_id=credentials.subscription_id,
        account_name=credentials.account_name,
        account_key=credentials.account_key,
        files_endpoint=f"{addresses.files_base}/{credentials.account_name}",
        pid=os.getpid(),
        until_unused=until_unused,
    )
