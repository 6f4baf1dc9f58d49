"""Departure: a session deletes what it made, and leaves alone what others use or have made anew."""

from collections.abc import Iterable

from attrs import field, frozen

from batchai_recipes.connection import Connection
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.session.joint_things import JointFileShare, JointResourceGroup
from batchai_recipes.session.joint_use import JointUse, OtherUser
from batchai_recipes.session.lease import SESSION_TAG
from batchai_recipes.session.made import Made
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.tracing import span


@frozen
class Departure:
    """Deletes what one session made.

    Args:
        session: The session's id.
        connection: Where it is.
        clock: The service's clock.
        pacing: How often to try again while others change what they use too.
    """

    session: str
    connection: Connection
    clock: ServiceClock
    pacing: Pacing = field(factory=Pacing)

    def delete(self, made: Made, own: Iterable[Made]) -> OtherUser | None:
        """Delete something unless it is used by others, or somebody else's by now.

        Args:
            made: What the session made.
            own: Everything that the session made.

        Returns:
            Whose it is, so that it stays; None where it is gone.

        Raises:
            RequestError: The service refused or did not answer.
        """
        joint = self.joint_use(made, own)
        if joint:
            with span(f"delete {made.kind}", **made.attributes), explained(f"delete {made}"):
                return joint.end()
        other = self._other_session(made) if made.kind == "workspace" else None
        if other:
            return OtherUser(f"session {other}", takes_over=True)
        made.delete(self.connection)
        return None

    def joint_use(self, made: Made, own: Iterable[Made] = ()) -> JointUse | None:
        """Return the session's use of something that several sessions may use.

        Args:
            made: What it is.
            own: Everything that the session made.

        Returns:
            The use; None for what is the session's alone.
        """
        if made.kind == "file share":
            share = JointFileShare(self.connection, made.names[-1], self.session)
            return JointUse(share, self.session, self.clock, self.pacing)
        if made.kind == "resource group":
            mine = [one.names[-1] for one in own if one.kind == "workspace"]
            group = JointResourceGroup(self.connection, made.names[0], self.clock, mine)
            return JointUse(group, self.session, self.clock, self.pacing)
        return None

    def _other_session(self, workspace: Made) -> str | None:
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - on first use

        with explained(f"look for {workspace}"):
            try:
                known = self.connection.batchai.workspaces.get(*workspace.names)
            except ResourceNotFoundError:
                return None
        session = (known.tags or {}).get(SESSION_TAG)
        return session if session and session != self.session else None
