"""The file service as an ASGI application, and the way of a request through it."""

import logging
import sqlite3

from attrs import evolve, frozen
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from batchai_recipes.service.clock import Clock
from batchai_recipes.service.files.access_policies import AccessPolicies
from batchai_recipes.service.files.accounts import Accounts
from batchai_recipes.service.files.addressing import resolve
from batchai_recipes.service.files.answer import (
    Answer,
    bug_answer,
    common_headers,
    refusal_answer,
    response_of,
)
from batchai_recipes.service.files.authentication import AuthenticationChain
from batchai_recipes.service.files.body import ClientGoneError, read_body
from batchai_recipes.service.files.call import AdmittedCall, Call
from batchai_recipes.service.files.copy_sources import CopySources
from batchai_recipes.service.files.errors import FileServiceError
from batchai_recipes.service.files.nouns import Nouns
from batchai_recipes.service.files.operations import Operation, recognise
from batchai_recipes.service.files.sas_authentication import (
    AccountSasAuthenticator,
    ServiceSasAuthenticator,
)
from batchai_recipes.service.files.shared_key import SharedKeyAuthenticator
from batchai_recipes.service.files.stamps import long_timestamp
from batchai_recipes.service.files.tree import disk_refusal
from batchai_recipes.service.state_directory import StateDirectory
from batchai_recipes.service.store import Store

_logger = logging.getLogger(__name__)


def files_app(*, state: StateDirectory, store: Store, clock: Clock) -> Starlette:
    """Return the file service as an application for a web server.

    The web server must tell the raw path (uvicorn does), must not log queries, which hold
    signatures, and keeps the case of metadata names with
    :class:`~batchai_recipes.service.files.protocol.HeaderCaseProtocol`.

    Args:
        state: Where the shares have their folders.
        store: Where accounts and shares are recorded.
        clock: Tells the time that dates and expiries are compared with.
    """
    accounts = Accounts(store)
    # Each says yes, no or "not mine". A SAS with `sr` is for one share or file; any other one is
    # for an account.
    chain = AuthenticationChain(
        (
            SharedKeyAuthenticator(accounts, clock),
            ServiceSasAuthenticator(accounts, AccessPolicies(store), clock),
            AccountSasAuthenticator(accounts, clock),
        )
    )
    nouns = Nouns.of(state, store, clock, CopySources(chain))
    nouns.shares.finish_deletions()
    # One endpoint for every path: requests are told apart by verb and query, see `operations`.
    return Starlette(routes=[Mount("/", app=FileService(chain, nouns, clock))])


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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Args:
            scope: The request without its body.
            receive: Gives the body.
            send: Takes the answer.
        """
        call = Call.from_scope(scope)
        try:
            # 1. Find out what the request is about, who sent it, what it asks for, and whether the
            #    sender may: all before a byte of its body is read.
            operation, admitted = await run_in_threadpool(self._admit, call)
            # 2. Read the body, as much as the operation takes.
            body = await read_body(call, receive, operation.body_limit)
            admitted = evolve(admitted, call=evolve(call, body=body))
            # 3. Carry the operation out. It works on the disk, so a thread of the pool does it.
            answer = await run_in_threadpool(self._perform, operation, admitted)
        except FileServiceError as error:
            # 4. Whatever was refused on the way is answered with Azure's code and document.
            answer = refusal_answer(error, call, self._time())
        except ClientGoneError:
            return  # and nothing was changed
        except Exception:
            # 5. What nobody foresaw is a bug: its details go to the log, its id to the client.
            _logger.exception("%s %s failed, request %s", call.verb, scope["path"], call.request_id)
            answer = bug_answer(call, self._time())
        # 6. Send the answer with the headers that all answers have; files go in chunks.
        response = response_of(answer.with_headers(common_headers(call)))
        await response(scope, receive, send)

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
        return operation, AdmittedCall(call, address, grant)

    def _perform(self, operation: Operation, admitted: AdmittedCall) -> Answer:
        try:
            answer = operation.handler(self.nouns, admitted)
        except (OSError, sqlite3.OperationalError) as error:
            refusal = disk_refusal(error)
            if refusal is None:
                raise
            raise refusal from error
        return answer.with_headers(admitted.grant.overrides) if operation.is_download else answer

    def _time(self) -> str:
        return long_timestamp(self.clock.now())
