"""The file service put together, and the way of a request through it."""

import logging
import sqlite3
from contextlib import AbstractContextManager, nullcontext

from attrs import evolve, frozen

from batchai_recipes.service.clock import Clock
from batchai_recipes.service.files.access_policies import AccessPolicies
from batchai_recipes.service.files.accounts import Accounts
from batchai_recipes.service.files.addressing import resolve
from batchai_recipes.service.files.answer import (
    Answer,
    bug_answer,
    common_headers,
    refusal_answer,
)
from batchai_recipes.service.files.authentication import AuthenticationChain, Authenticator
from batchai_recipes.service.files.bearer import BearerAuthenticator, StorageTokens
from batchai_recipes.service.files.body import BodyReader, ClientGoneError
from batchai_recipes.service.files.call import AdmittedCall, Call
from batchai_recipes.service.files.copy_sources import CopySources
from batchai_recipes.service.files.cors import cors_headers, preflight_answer
from batchai_recipes.service.files.delegation_keys import DelegationKeys
from batchai_recipes.service.files.errors import FileServiceError
from batchai_recipes.service.files.nouns import Nouns
from batchai_recipes.service.files.operations import Operation, recognise, snapshot_of
from batchai_recipes.service.files.sas_authentication import (
    AccountSasAuthenticator,
    Delegation,
    ServiceSasAuthenticator,
)
from batchai_recipes.service.files.service_properties import CorsRule
from batchai_recipes.service.files.shared_key import SharedKeyAuthenticator
from batchai_recipes.service.files.stamps import long_timestamp
from batchai_recipes.service.files.tree import disk_refusal
from batchai_recipes.service.identity.principals import Principals
from batchai_recipes.service.identity.tokens import Tokens
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

_logger = logging.getLogger(__name__)


def files_app(
    *, state: StateDirectory, store: Store, clock: Clock, tokens: Tokens | None = None
) -> "FileService":
    """Return the file service, to be served by :class:`~.server.FileServer`.

    Args:
        state: Where the shares have their folders.
        store: Where accounts and shares are recorded.
        clock: Tells the time that dates and expiries are compared with.
        tokens: Checks bearer tokens; None for a service without them.
    """
    accounts = Accounts(store)
    delegation = None
    by_token: tuple[Authenticator, ...] = ()
    if tokens is not None:
        known = StorageTokens(tokens, Principals(store))
        delegation = Delegation(DelegationKeys(known.secret, clock), known)
        by_token = (BearerAuthenticator(accounts, known),)
    # Each says yes, no or "not mine". A SAS with `sr` is for one share or file; any other one is
    # for an account. A SAS that is bound to a user comes with that user's token.
    chain = AuthenticationChain(
        (
            SharedKeyAuthenticator(accounts, clock),
            ServiceSasAuthenticator(accounts, AccessPolicies(store), clock, delegation=delegation),
            AccountSasAuthenticator(accounts, clock),
            *by_token,
        ),
        None if delegation is None else delegation.tokens.challenge,
    )
    keys = None if delegation is None else delegation.keys
    nouns = Nouns.of(state, store, clock, CopySources(chain), delegation_keys=keys)
    nouns.shares.finish_deletions()
    nouns.snapshots.finish()
    nouns.renaming.finish()
    return FileService(chain, nouns, clock)


@frozen
class FileService:
    """The way of every request.

    Args:
        chain: Finds out what a request may do.
        nouns: What requests are about.
        clock: Tells the time.
    """

    chain: AuthenticationChain
    nouns: Nouns
    clock: Clock

    def handle(self, call: Call, read_body: BodyReader) -> Answer:
        """Answer one request.

        Args:
            call: The request without its body.
            read_body: Reads the body.

        Raises:
            ClientGoneError: The client has gone before its body was complete; nothing was changed.
        """
        try:
            if call.verb == "OPTIONS":
                # A browser asks for a page; it signs nothing, and learns of no share.
                answer = preflight_answer(call, self._rules(call))
                return answer.with_headers(common_headers(call))
            # 1. Find out what the request is about, who sent it, what it asks for, and whether the
            #    sender may: all before a byte of its body is read.
            operation, admitted = self._admit(call)
            # 2. Read the body, as much as the operation takes.
            if operation.body_limit:
                body = read_body(operation.body_limit)
                admitted = evolve(admitted, call=evolve(call, body=body))
            # 3. Carry the operation out.
            answer = self._perform(operation, admitted)
        except FileServiceError as error:
            # 4. Whatever was refused on the way is answered with Azure's code and document.
            answer = refusal_answer(error, call, self._time())
        except ClientGoneError:
            raise
        except Exception:
            # 5. What nobody foresaw is a bug: its details go to the log, its id to the client.
            path = call.raw_path.decode("latin-1")
            _logger.exception("%s %s failed, request %s", call.verb, path, call.request_id)
            answer = bug_answer(call, self._time())
        # 6. Add the headers that all answers have; the web server sends it, files in large pieces.
        if "origin" in call.headers:
            answer = answer.with_headers(cors_headers(call, self._rules(call)))
        return answer.with_headers(common_headers(call))

    def _rules(self, call: Call) -> tuple[CorsRule, ...]:
        try:
            address = resolve(call.headers.get("host", ""), call.raw_path)
        except FileServiceError:
            return ()
        return self.nouns.service_properties.rules(address.account)

    def _admit(self, call: Call) -> tuple[Operation, AdmittedCall]:
        # a. Resolve the address, in path style or host style.
        address = resolve(call.headers.get("host", ""), call.raw_path)
        # b. Authenticate, over the raw path: nothing else is said to an unknown sender.
        grant = self.chain.authenticate(call, address)
        # c. Check that the client speaks a version of the protocol.
        _ = call.version
        # d. Recognise the operation by its verb and query.
        operation = recognise(call, address)
        # e. Authorize: does the signature permit it?
        grant.check(operation.needs)
        # f. See whether it is about a snapshot, which can only be read.
        snapshot = snapshot_of(call, operation)
        return operation, AdmittedCall(call, evolve(address, snapshot=snapshot), grant)

    def _perform(self, operation: Operation, admitted: AdmittedCall) -> Answer:
        address = admitted.address
        # What changes a share waits while a snapshot is made of it.
        gate = self.nouns.gates.changing if operation.changes else _no_gate
        try:
            with gate(address.account, address.share):
                answer = operation.handler(self.nouns, admitted)
        except (OSError, sqlite3.OperationalError) as error:
            refusal = disk_refusal(error)
            if refusal is None:
                raise
            raise refusal from error
        return answer.with_headers(admitted.grant.overrides) if operation.is_download else answer

    def _time(self) -> str:
        return long_timestamp(self.clock.now())


def _no_gate(_account: str, _share: str) -> AbstractContextManager[None]:
    return nullcontext()
