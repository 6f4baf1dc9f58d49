"""Departure: a session deletes what it made, and leaves alone what others use or have made anew."""

from collections.abc import Callable, Iterable

from attrs import field, frozen

from batchai_recipes.connection import Connection
from batchai_recipes.pacing import Pacing
from batchai_recipes.refusals import explained
from batchai_recipes.session.joint_in_workspace import JointInWorkspace
from batchai_recipes.session.joint_things import JointFileShare, JointResourceGroup
from batchai_recipes.session.joint_use import Joint, JointUse, OtherUser
from batchai_recipes.session.joint_workspace import JointWorkspace, LastRead
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
        lapsed: Whether the session is taken to be gone since its lease has run out.
    """

    session: str
    connection: Connection
    clock: ServiceClock
    pacing: Pacing = field(factory=Pacing)
    lapsed: bool = False
    _read: dict[tuple[str, ...], LastRead] = field(factory=dict, init=False)

    def delete(
        self,
        made: Made,
        own: Iterable[Made],
        *,
        surely: bool = False,
        before: Callable[[], object] = lambda: None,
    ) -> OtherUser | None:
        """Delete something unless it is used by others, or somebody else's by now.

        Args:
            made: What the session made.
            own: Everything that the session made.
            surely: Whether the session has made it, also where its labels are gone.
            before: Told that something that others might use is about to be deleted.

        Returns:
            Whose it is, so that it stays; None where it is gone.

        Raises:
            RequestError: The service refused or did not answer.
        """
        joint = self.joint_use(made, own)
        if joint:
            with span(f"delete {made.kind}", **made.attributes), explained(f"delete {made}"):
                return joint.end(surely=surely, before=before)
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
        thing = self._thing(made, own)
        if thing is None:
            return None
        return JointUse(thing, self.session, self.clock, self.pacing, lapsed=self.lapsed)

    def clear(self, made: Made) -> None:
        """Take away what is noted of something that is gone.

        Args:
            made: What the session made.
        """
        thing = self._thing(made, ())
        if thing:
            thing.clear(self.session)

    def workspace(self, place: tuple[str, ...]) -> JointWorkspace:
        """Return a workspace with the session as one of its users.

        Args:
            place: The names that lead to it, or to something in it.
        """
        group, name, *_ = place
        last = self._read.setdefault((group, name), LastRead())
        return JointWorkspace(self.connection, (group, name), self.session, self.clock, last=last)

    def _thing(self, made: Made, own: Iterable[Made]) -> Joint | None:
        match made.kind:
            case "file share":
                return JointFileShare(self.connection, made.names[-1], self.session)
            case "resource group":
                mine = [one.names[-1] for one in own if one.kind == "workspace"]
                return JointResourceGroup(self.connection, made.names[0], self.clock, mine)
            case "workspace":
                return self.workspace(made.names)
            case "cluster" | "experiment" as kind:
                return JointInWorkspace(made, kind, self.workspace(made.names))
            case _:
                return None
