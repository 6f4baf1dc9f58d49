"""The service: its parts put together, in the order in which a request or a job meets them."""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from attrs import field, frozen
from starlette.applications import Starlette
from starlette.types import ASGIApp

from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.clock import Clock, SystemClock
from batchai_recipes.service.credentials import Credentials
from batchai_recipes.service.engines.containers import ContainerPolicy
from batchai_recipes.service.engines.ray.options import RayOptions
from batchai_recipes.service.files.accounts import Account, Accounts
from batchai_recipes.service.files.app import files_app
from batchai_recipes.service.files.nouns import Nouns
from batchai_recipes.service.files.server import FileServer
from batchai_recipes.service.identity.app import Identity
from batchai_recipes.service.identity.certificates import ensure_authority, ensure_signing_key
from batchai_recipes.service.identity.principals import Principals
from batchai_recipes.service.identity.tokens import Tokens
from batchai_recipes.service.listener import Listener, TlsFiles, is_loopback
from batchai_recipes.service.ports import Ports
from batchai_recipes.service.principal_register import record_own
from batchai_recipes.service.scheduling.autoscale import SCALE_DOWN_AFTER
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

LOOPBACK: Final = "127.0.0.1"

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
        files_port: The port of the file shares by http; 0 for any.
        secure_files_port: The port of the file shares by https; 0 for any.
        only_files: Whether to leave out the management plane and the scheduler.
        account_name: The storage account to tell clients of, made where it is missing; None for the
            service's own.
        account_key: Its first key, base64; None for the one that it has, or for a new one.
        blob_endpoints: The URLs of the blob services of accounts that are not at Azure's own.
        until_unused: Whether it stops when the last program that uses it has gone.
        scale_down_after: How long a node of a cluster with automatic scale may do nothing.
        preemptions_per_hour: How often a low-priority node is preempted on average; 0 for only on
            demand.
        clock: The time of day.
        containers: When jobs that name a container image run in it.
        memory_limit_bytes: How much memory each task of a job may have; None for all there is.
        ray: How to use a Ray cluster; None to run jobs on this machine.
    """

    state: StateDirectory
    host: str = LOOPBACK
    management_port: int = 0
    files_port: int = 0
    secure_files_port: int = 0
    only_files: bool = False
    account_name: str | None = None
    account_key: str | None = field(default=None, repr=False)
    blob_endpoints: Mapping[str, str] = field(factory=dict)
    until_unused: bool = False
    scale_down_after: timedelta = SCALE_DOWN_AFTER
    preemptions_per_hour: float = 0.0
    clock: Clock = field(factory=SystemClock)
    containers: ContainerPolicy = "auto"
    memory_limit_bytes: int | None = None
    ray: RayOptions | None = None


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
            ListenerError: A web server did not start.
            StateTooNewError: The state directory was written by a later release.
            OSError: The state directory cannot be written.
            ValueError: A file of the state directory is damaged, or the account cannot be one.
        """
        try:
            return self._start()
        except BaseException:
            try:
                self.stop()
            except Exception:
                _logger.exception("What had started did not stop in order")
            raise

    def stop(self) -> None:
        """Stop every part, the last one started first; running jobs go on.

        Raises:
            ExceptionGroup: Some parts could not be stopped in order; the others were, after them.
        """
        errors: list[Exception] = []
        while self._undo:
            try:
                self._undo.pop()()
            except Exception as error:  # noqa: BLE001, PERF203 - what is left is stopped first
                errors.append(error)
        if errors:
            raise ExceptionGroup("Parts of the service did not stop in order", errors)

    def _start(self) -> ServiceAddress:
        options, state, clock = self._options, self._options.state, self._options.clock

        # The records, and who may read them.
        credentials = Credentials.ensure(state)
        store = Store(state.database)
        self._undo.append(store.close)
        principals = Principals(store)
        record_own(principals, credentials)
        account = _account(credentials, Accounts(store), options)

        # The ports, and what https and tokens need: a private authority and a key that signs.
        ports = Ports.bind(
            options.host,
            management=options.management_port,
            files=options.files_port,
            secure_files=options.secure_files_port,
        )
        self._undo.append(ports.close)
        if not is_loopback(options.host):
            _logger.warning(_OPEN_TO_OTHERS, options.host)
        certificates = ensure_authority(state.certificates, clock, host=ports.host)
        tls = TlsFiles(str(certificates.server_cert_file), str(certificates.server_key_file))
        tokens = Tokens(
            ensure_signing_key(state.certificates),
            issuer=lambda: ports.management_base,
            tenant_id=credentials.tenant_id,
            clock=clock,
        )

        # What answers those who want files, and those who come for a token, or for the management
        # plane.
        files = files_app(state=state, store=store, clock=clock, tokens=tokens)
        if options.only_files:
            plane: ASGIApp = Starlette(routes=Identity(principals, tokens, clock).routes())
        else:
            plane = self._start_batchai(
                store, principals, tokens, ports, credentials, files=files.nouns
            )

        # The file shares by http, since every request carries its own signature, and by https,
        # which tokens need. All else by https, since the Azure clients insist.
        self._serve(FileServer(files.handle, ports.files))
        self._serve(FileServer(files.handle, ports.secure_files, tls=tls))
        self._serve(Listener(plane, ports.management, tls=tls))
        return ServiceAddress(
            endpoint=ports.management_base,
            ca_file=str(certificates.ca_file),
            tenant_id=credentials.tenant_id,
            client_id=credentials.client_id,
            client_secret=credentials.client_secret,
            subscription_id=credentials.subscription_id,
            account_name=account.name,
            account_key=account.key1,
            files_endpoint=f"{ports.files_base}/{account.name}",
            secure_files_endpoint=f"{ports.secure_files_base}/{account.name}",
            pid=os.getpid(),
            until_unused=options.until_unused,
            only_files=options.only_files,
        )

    def _start_batchai(
        self,
        store: Store,
        principals: Principals,
        tokens: Tokens,
        ports: Ports,
        credentials: Credentials,
        *,
        files: Nouns,
    ) -> ASGIApp:
        # Loaded here, since who wants files only does not wait for it.
        from batchai_recipes.service.batchai import BatchAI  # noqa: PLC0415 - see above
        from batchai_recipes.service.management.app import Addresses  # noqa: PLC0415 - see above

        batchai = BatchAI(
            state=self._options.state,
            store=store,
            clock=self._options.clock,
            tokens=tokens,
            principals=principals,
            files=files,
            addresses=Addresses(ports.management_base, ports.files_base),
            subscription_id=credentials.subscription_id,
            blob_endpoints=self._options.blob_endpoints,
            containers=self._options.containers,
            scale_down_after=self._options.scale_down_after,
            preemptions_per_hour=self._options.preemptions_per_hour,
            memory_limit_bytes=self._options.memory_limit_bytes,
            ray=self._options.ray,
            until_unused=self._options.until_unused,
        )
        return batchai.start(self._undo)

    def _serve(self, server: FileServer | Listener) -> None:
        server.start()
        self._undo.append(server.stop)


def _account(credentials: Credentials, accounts: Accounts, options: ServiceOptions) -> Account:
    """Return the storage account that clients are told of; the service's own is always there."""
    if accounts.get(credentials.account_name) is None:
        accounts.create(
            credentials.account_name, credentials.account_key, credentials.second_account_key
        )
    if options.account_name is None and options.account_key is None:
        return Account(
            credentials.account_name, credentials.account_key, credentials.second_account_key
        )
    return accounts.ensure(options.account_name or credentials.account_name, options.account_key)
