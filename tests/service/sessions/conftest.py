"""What sees to sessions, over the records, a simulated engine and a clock that the test moves."""

import json
from datetime import timedelta

import pytest
from attrs import define

from batchai_recipes.service.engines.simulated import SimulatedEngine
from batchai_recipes.service.files.gates import Gates
from batchai_recipes.service.management.plane import Addresses, ManagementPlane
from batchai_recipes.service.scheduling.scheduler import Scheduler
from batchai_recipes.service.sessions.caretaker import Caretaker
from batchai_recipes.service.sessions.joint_shares import JointShares

GROUP = "/subscriptions/s/resourcegroups/group"
WORKSPACE = f"{GROUP}/providers/microsoft.batchai/workspaces/ws"


@define
class Handed:
    """A session in the workspace of ``rows``, and what happens to it."""

    rows: object
    clock: object
    scheduler: Scheduler
    caretaker: Caretaker

    def tag(self, key, /, **tags):
        """Give a resource tags, as a PATCH does: a new etag too."""
        with self.rows.store.write() as records:
            records.execute(
                "UPDATE resources SET tags = ?, etag = hex(randomblob(8)) WHERE key = ?",
                (json.dumps({name.replace("_", "-"): text for name, text in tags.items()}), key),
            )

    def over(self, lease, /, **tags):
        """Tag the workspace as a session's, with a lease of so many seconds from now, or a text."""
        if isinstance(lease, int | float):
            lease = self.after(lease)
        self.tag(
            WORKSPACE,
            batchai_recipes_session="mine",
            batchai_recipes_lease=lease,
            **{f"batchai_recipes_{name}": text for name, text in tags.items()},
        )

    def after(self, seconds):
        """Return the time after so many seconds, as tags have it."""
        return (self.clock.now() + timedelta(seconds=seconds)).isoformat()

    def user(self, session, seconds):
        """Return an entry of a session that uses something."""
        return {f"batchai_recipes_user_{session}": f"{session} {self.after(seconds)}"}

    def label_group(self, *entries, session="mine"):
        """Tag the group as sessions' that use it."""
        tags = {"batchai-recipes-session": session}
        for entry in entries:
            tags |= entry
        with self.rows.store.write() as records:
            records.execute(
                "UPDATE resources SET tags = ? WHERE key = ?", (json.dumps(tags), GROUP)
            )

    def look(self):
        """Let everybody do what is due, until nobody has anything to do."""
        for _ in range(9):
            look = self.caretaker.look()
            self.scheduler.settle()
            if not look.after_changes:
                return look
        raise AssertionError(look)

    def pass_by(self, seconds):
        """Let time pass, then look."""
        self.clock.advance(seconds=seconds)
        return self.look()

    def left(self):
        """Return the names of what there is."""
        with self.rows.store.read() as records:
            return [
                row["name"]
                for row in records.execute("SELECT name FROM resources ORDER BY key").fetchall()
            ]


@pytest.fixture
def engine(hand_clock):
    """An engine whose tasks end when the test says so."""
    return SimulatedEngine(hand_clock)


@pytest.fixture
def session(rows, store, state, hand_clock, changes, shares, accounts, engine):
    """A session in a workspace with an experiment, on a service that is not started."""
    with store.write() as records:
        records.execute("UPDATE resources SET location = 'eastus' WHERE parent_key IS NULL")
    scheduler = Scheduler(
        store=store,
        clock=hand_clock,
        changes=changes,
        engine=engine,
        shares=shares,
        accounts=accounts,
        interpreter="/usr/bin/python3",
    )
    scheduler.listen()
    plane = ManagementPlane(
        state=state,
        store=store,
        clock=hand_clock,
        changes=changes,
        wake=scheduler.wake,
        addresses=lambda: Addresses("https://127.0.0.1:1", "http://127.0.0.1:2"),
        subscription_id="S",
        tenant_id="T",
    )
    caretaker = Caretaker(plane, JointShares(shares, Gates(), hand_clock))
    return Handed(rows, hand_clock, scheduler, caretaker)
