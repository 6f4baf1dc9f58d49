"""File shares that sessions made: the last session that uses one takes it away."""

from attrs import frozen

from batchai_recipes.service.clock import Clock
from batchai_recipes.service.files.errors import FileServiceError, ShareNotFoundError
from batchai_recipes.service.files.gates import Gates
from batchai_recipes.service.files.guard import Guard
from batchai_recipes.service.files.shares import Shares
from batchai_recipes.service.sessions.users import SHARE_MADE, Users


@frozen
class JointShares:
    """Takes sessions off the shares that they used.

    Args:
        shares: The shares; the same as clients change.
        gates: Keep a share as it is while a snapshot is made of it.
        clock: Tells the time.
    """

    shares: Shares
    gates: Gates
    clock: Clock

    def leave(self, account: str, name: str, session: str) -> str | None:
        """Delete a share that a session used, or leave it to the other sessions that do.

        Args:
            account: The storage account.
            name: The share's name.
            session: The session.

        Returns:
            What keeps it from being left now, such as a client that changes it meanwhile; None
            where that is done.
        """
        try:
            with self.gates.changing(account, name):
                self._leave(account, name, session)
        except ShareNotFoundError:
            return None
        except FileServiceError as error:
            return f"file share {name}: {error}"
        except OSError as error:
            return f"file share {name}: {error.strerror}"
        return None

    def _leave(self, account: str, name: str, session: str) -> None:
        share, now = self.shares.get(account, name), self.clock.now()
        users = Users(share.metadata, made=SHARE_MADE)
        if not users.are_sessions or not users.include(session):
            return
        as_read = Guard({"if-match": share.etag}, now)
        if users.others(session, now):
            metadata = users.without(session, now)
            self.shares.change(account, name, metadata=metadata, guard=as_read)
        else:
            self.shares.delete(account, name, as_read)
