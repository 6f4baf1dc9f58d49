"""HandOver: leaves a session to the service, until a deadline or for good."""

from datetime import datetime, timedelta, timezone

from batchai_recipes.concurrency import concurrency_of
from batchai_recipes.connection import Connection
from batchai_recipes.errors import BatchAIRecipesError, ConfigurationError, RequestError
from batchai_recipes.session.journal import Journal
from batchai_recipes.session.keeper import start_keeper
from batchai_recipes.session.lease import LEASE
from batchai_recipes.session.lease_holder import LeaseHolder
from batchai_recipes.session.made import Made
from batchai_recipes.session.run_folder import RunFolder


def checked_deadline(deadline: datetime | timedelta) -> datetime | timedelta:
    """Return a deadline that a session can have.

    Args:
        deadline: A time, or how long from now.

    Raises:
        ConfigurationError: It is a time without a time zone, or no time to come.
    """
    if isinstance(deadline, datetime) and deadline.tzinfo is None:
        raise ConfigurationError("The deadline has no time zone: use datetime.now(timezone.utc)")
    if not isinstance(deadline, datetime | timedelta):
        raise ConfigurationError(
            f"The deadline is {deadline!r}: write timedelta(hours=8), or a time with its zone"
        )
    if isinstance(deadline, timedelta) and deadline <= timedelta(0):
        raise ConfigurationError(f"The deadline is {deadline} from now: give a time to come")
    return deadline


def time_of(deadline: datetime | timedelta, now: datetime) -> datetime:
    """Return the time of a deadline.

    Args:
        deadline: A time, or how long from now.
        now: The present time.

    Raises:
        ConfigurationError: There is no such time.
    """
    try:
        return deadline if isinstance(deadline, datetime) else now + deadline
    except OverflowError as error:
        raise ConfigurationError(
            f"The deadline is {deadline} from now: that is too long"
        ) from error


class HandOver:
    """Writes down on the service, and in the journal, that no process has a session any more.

    Args:
        connection: Where the session is.
        session: Its id.
        journal: Its journal.
        folder: Told what happens, and what could not be done.
        lease: Its lease.
    """

    def __init__(
        self,
        connection: Connection,
        session: str,
        journal: Journal,
        folder: RunFolder,
        *,
        lease: LeaseHolder,
    ) -> None:
        self._connection = connection
        self._session = session
        self._journal = journal
        self._folder = folder
        self._lease = lease

    def until(self, deadline: datetime) -> None:
        """Hand the session over until a deadline.

        Args:
            deadline: The deadline.

        Raises:
            RequestError: The service refused or did not answer; the session is not handed over.
        """
        try:
            self._lease.hand_over(self._journal.made, deadline)
        except BatchAIRecipesError as error:
            raise RequestError(
                f"Session {self._session} is not detached, and goes on as before: {error}"
            ) from error
        self._journal.detach(deadline)

    def again(self, deadline: datetime | None, kept: tuple[Made, ...]) -> None:
        """Hand a session back that could not be taken up, as it was.

        Args:
            deadline: Its deadline; None for one that had none.
            kept: What of it had been kept on purpose.
        """
        if deadline is None:
            self._keep_again(kept)
            return
        self._journal.detach(deadline)
        try:
            self._lease.hand_over(self._journal.made, deadline)
        except BatchAIRecipesError as error:
            self._folder.warn(
                f"Session {self._session} could not be handed back to the service, which takes it "
                f"for dead in {LEASE.total_seconds() / 60:g} minutes: {error}. Take it up again "
                f"before that"
            )

    def _keep_again(self, kept: tuple[Made, ...]) -> None:
        for made in kept:
            self._journal.keep(made)
        if kept:
            self.for_good(kept)

    def for_good(self, kept: tuple[Made, ...]) -> None:
        """Say that something is kept on purpose.

        Args:
            kept: What it is.
        """
        try:
            self._lease.hand_over(kept, None)
        except BatchAIRecipesError as error:
            self._folder.warn(
                f"The service could not be told that this is kept, so `batchai-recipes reap` on "
                f"another machine may delete it: {error}. Take it up and keep it once more: "
                f"TrainingSession.attach({self._session!r}, clean_up='never')"
            )

    def leave(self, deadline: datetime | None) -> None:
        """Let go of a session that was handed over, at the end of its block.

        Args:
            deadline: Its deadline.

        Raises:
            ServiceStartError: Nothing keeps the embedded service up for it.
        """
        state_dir = self._connection.state_dir
        self._journal.close()
        until = ""
        if deadline:
            until = f" until {deadline.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
        self._folder.report(
            f"Detached session {self._session}{until}; take it up with "
            f"TrainingSession.attach({self._session!r})"
        )
        if state_dir:
            aside = concurrency_of(self._connection).aside
            aside(start_keeper, state_dir, self._connection.journals, self._session)
