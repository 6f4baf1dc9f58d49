"""JointUse: what several sessions use, such as a workspace or a share; the last of them deletes it.

What sessions have made is labelled (tags, or a share's metadata) with an entry for each of them
that uses it, and until when. Each change of the labels, and the deletion, is on the condition that
nobody has changed them since they were read. So of a session that comes and one that goes, one
always sees the other: either the entry is there when the other one looks, or the deletion, or the
change, is refused and tried again with what is there then.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Final, Literal, Protocol, TypeAlias

from attrs import evolve, field, frozen

from batchai_recipes.errors import RequestError
from batchai_recipes.pacing import Pacing
from batchai_recipes.session.lease import KEPT
from batchai_recipes.session.service_clock import ServiceClock
from batchai_recipes.tag_values import moment

USER: Final = "batchai_recipes_user_"
"""What the names of labels begin with that say who uses something."""

TURN: Final = "batchai_recipes_staging"
"""The label that names the session whose turn it is to write to a share."""

_LONGEST_WAIT_SECONDS: Final = 600.0

Standing: TypeAlias = Literal["made", "joined", "not ours"]
"""How something stands to a session: it made it, other sessions had, or somebody else had."""


@frozen
class Labels:
    """What something is labelled with.

    Args:
        values: Names and values.
        etag: The state in which this was read; empty where the service names none.
        of_sessions: Whether sessions have made the thing.
        deleting: Whether the thing is about to go.
        beside: What else is where the labels are, and is written with them as it is.
    """

    values: Mapping[str, str]
    etag: str
    of_sessions: bool
    deleting: bool = False
    beside: Mapping[str, str] = field(factory=dict)


class Joint(Protocol):
    """Something that several sessions may use."""

    def __str__(self) -> str: ...

    def read(self) -> Labels | None:
        """Return its labels; None where it is not there."""
        ...

    def make(self, entry: Mapping[str, str]) -> bool:
        """Make it with an entry; tell whether that was done, for it may be there by now."""
        ...

    def write(self, labels: Labels) -> bool:
        """Replace its labels if it is as it was read; tell whether that was done."""
        ...

    def delete(self, labels: Labels) -> bool:
        """Delete it if it is as it was read; tell whether it is gone."""
        ...

    def clear(self, session: str) -> None:
        """Take a session's entry away where one stays although the thing is not there."""
        ...

    def other_user(self) -> str | None:
        """Say who uses it that is no session, in words; None for nobody."""
        ...


@frozen
class Use:
    """That a session uses something.

    Args:
        session: The session's id.
        until: Until when, by the service's clock; None for good.

    Example:
        >>> use = Use("batchai-recipes-1a2b", None)
        >>> use.entry()
        {'batchai_recipes_user_batchai_recipes_1a2b': 'batchai-recipes-1a2b kept'}
        >>> uses(use.entry()) == [use]
        True
    """

    session: str
    until: datetime | None

    def entry(self) -> dict[str, str]:
        """Return it as a label."""
        until = self.until.astimezone(timezone.utc).isoformat() if self.until else KEPT
        return {label_of(self.session): f"{self.session} {until}"}

    def has_run_out(self, now: datetime) -> bool:
        """Tell whether the session has not been heard of for so long that it must be gone.

        Args:
            now: The service's present time.
        """
        return self.until is not None and self.until <= now


def label_of(session: str) -> str:
    """Return the name of the label of a session that uses something.

    Args:
        session: The session's id.
    """
    return USER + re.sub(r"\W", "_", session).lower()


def uses(labels: Mapping[str, str] | None) -> list[Use]:
    """Read who uses something.

    Args:
        labels: What it is labelled with; what is no such label is passed over, and who uses it
            until a time that cannot be read does so for good.
    """
    found = (_use(name, value) for name, value in (labels or {}).items())
    return [use for use in found if use]


def _use(name: str, value: str) -> Use | None:
    session, _, until = value.partition(" ")
    if not name.lower().startswith(USER) or not session:
        return None
    # A time that cannot be read, since somebody changed it, is taken for one that never comes.
    return Use(session, moment(until))


@frozen
class OtherUser:
    """Who else uses something.

    Args:
        who: In words.
        takes_over: Whether that is a session, which deletes the thing at its own end.
    """

    who: str
    takes_over: bool

    def __str__(self) -> str:
        return f"{self.who} uses it"


def _nothing() -> None:
    pass


class JointUse:
    """One session's use of one thing.

    Args:
        thing: The thing.
        session: The session's id.
        clock: The service's clock.
        pacing: How often to try again while others change it.
        report: Told for whom it waits.
        lapsed: Whether the session is taken to be gone since its entry has run out, and so has to
            be left alone where that turns out to be otherwise.
    """

    def __init__(
        self,
        thing: Joint,
        session: str,
        clock: ServiceClock,
        pacing: Pacing | None = None,
        report: Callable[[str], object] = str,
        *,
        lapsed: bool = False,
    ) -> None:
        self._lapsed = lapsed
        self._thing = thing
        self._session = session
        self._clock = clock
        self._pacing = pacing or Pacing()
        self._report = report
        self._waits_for = ""
        self._patient_since = 0.0

    def begin(
        self, until: datetime, *, make: bool = True, join: bool = True, in_turn: bool = False
    ) -> Standing:
        """Begin to use it; make it where it is missing.

        Args:
            until: Until when it is taken to be used, unless this is renewed.
            make: Whether to make it; else a missing one is nobody's.
            join: Whether to use it where it is there; else one that is there is not ours.
            in_turn: Whether to wait until no other session writes to it, and to take the turn,
                until :meth:`end_turn`.

        Raises:
            RequestError: The service refused or did not answer, or others are deleting it.
        """
        for _ in self._tries("use"):
            labels = self._thing.read()
            if labels is None:
                if not make:
                    return "not ours"
                turn = {TURN: self._session} if in_turn else {}
                if self._thing.make({**Use(self._session, until).entry(), **turn}):
                    return "made"
            elif not join and label_of(self._session) in labels.values:
                return "made"  # by a request whose answer was lost
            elif not (join and labels.of_sessions):
                return "not ours"
            elif self._is_free(labels, in_turn=in_turn) and self._write(
                labels, until, in_turn=in_turn
            ):
                return "joined"
        raise AssertionError  # pragma: no cover - the tries end with an error

    def end_turn(self) -> None:
        """Let other sessions write to it; without effect where it is gone.

        Raises:
            RequestError: The service refused or did not answer.
        """
        for _ in self._tries("end the turn at"):
            labels = self._thing.read()
            if labels is None or labels.values.get(TURN) != self._session:
                return
            values = {name: value for name, value in labels.values.items() if name != TURN}
            if self._thing.write(evolve(labels, values=values)):
                return

    def renew(self, until: datetime | None) -> None:
        """Go on using it; without effect where it is gone.

        Args:
            until: Until when; None for good.

        Raises:
            RequestError: The service refused or did not answer.
        """
        for _ in self._tries("go on using"):
            labels = self._thing.read()
            if labels is None or not labels.of_sessions or self._write(labels, until):
                return

    def end(
        self, *, surely: bool = False, before: Callable[[], object] = _nothing
    ) -> OtherUser | None:
        """Use it no more, and delete it unless others do.

        Args:
            surely: Whether the session has made it, also where its labels are gone.
            before: Told that it is about to be deleted.

        Returns:
            Who uses it, so that it stays; None where it is gone.

        Raises:
            RequestError: The service refused or did not answer.
        """
        for _ in self._tries("delete"):
            labels = self._thing.read()
            if labels is None:
                self._thing.clear(self._session)
                return None
            if not (labels.of_sessions or surely):
                return OtherUser("somebody who made it anew or changed its tags", takes_over=True)
            if self._lapsed and self._lives(labels):
                return OtherUser(f"session {self._session}, which lives,", takes_over=True)
            other = self._other_session(labels)
            if other:
                if self._write_without(labels):
                    return other
                continue
            someone = self._thing.other_user()
            if someone and self._thing.read() == labels:  # else it may be of a session that came
                return OtherUser(someone, takes_over=False)
            if not someone:
                before()
                before = _nothing
                if self._thing.delete(labels):
                    return None
        raise AssertionError  # pragma: no cover - as above

    def _is_free(self, labels: Labels, *, in_turn: bool) -> bool:
        """Tell whether it may be used now; a session that is gone has no turn."""
        holder = labels.values.get(TURN, "") if in_turn else ""
        lives = any(one.session == holder for one in self._others(labels))
        waits_for = ""
        if lives:  # as long as that takes: it ends with the other session, if not before
            waits_for = f"session {holder} to stage to it"
            self._patient_since = self._pacing.monotonic()
        if labels.deleting:
            waits_for = "its deletion"
        if waits_for and waits_for != self._waits_for:
            self._report(f"Waiting for {self._thing}: {waits_for}")
        self._waits_for = waits_for
        return not waits_for

    def _lives(self, labels: Labels) -> bool:
        now = self._clock.now()
        own = (one for one in uses(labels.values) if one.session == self._session)
        return any(not one.has_run_out(now) for one in own)

    def _others(self, labels: Labels) -> list[Use]:
        now = self._clock.now()
        others = (one for one in uses(labels.values) if one.session != self._session)
        return [one for one in others if not one.has_run_out(now)]

    def _other_session(self, labels: Labels) -> OtherUser | None:
        users = (f"session {one.session}" for one in self._others(labels))
        return next((OtherUser(user, takes_over=True) for user in users), None)

    def _write(self, labels: Labels, until: datetime | None, *, in_turn: bool = False) -> bool:
        turn = {TURN: self._session} if in_turn else {}
        values = {**labels.values, **Use(self._session, until).entry(), **turn}
        return self._thing.write(evolve(labels, values=values))

    def _write_without(self, labels: Labels) -> bool:
        """Take away what names this session, and those that have not been heard of for long."""
        staying = [None, *self._others(labels)]
        values = {
            name: value
            for name, value in labels.values.items()
            if _use(name, value) in staying and (name, value) != (TURN, self._session)
        }
        return self._thing.write(evolve(labels, values=values))

    def _tries(self, action: str) -> Iterator[None]:
        """Try again and again, for a while: others are done with a request or a deletion soon."""
        self._patient_since = self._pacing.monotonic()
        pauses = self._pacing.pauses()
        while self._pacing.monotonic() - self._patient_since < _LONGEST_WAIT_SECONDS:
            yield
            next(pauses)
        raise RequestError(
            f"Failed to {action} {self._thing}: others delete or change it all the time; try again "
            f"later, or use another name"
        )
