"""Launches and reports on their way while drivers come and go: what is known of a task at last."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from batchai_recipes.service.engines.engine import Ended, Running, TaskKey
from batchai_recipes.service.engines.ray.messages import Changes
from batchai_recipes.service.engines.ray.runs import Runs
from batchai_recipes.service.state_directory import StateDirectory

NAME = "process-0"
KEY = TaskKey("job", "uid", NAME)


class Tasks(RuleBasedStateMachine):
    """One task of a job, its node, and what is on its way between both."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.state = StateDirectory(Path(self.folder.name) / "state")
        self.state.create()
        self.runs = Runs(self.state)
        self.asked, self.reports = [], []
        self.has_driver = False
        self.node, self.starts = {}, {}
        self.begin_driver()

    def teardown(self):
        """Come to rest."""
        try:
            self.rest()
        finally:
            self.folder.cleanup()

    @rule()
    def launch(self):
        """The scheduler finds that the task has not been launched."""
        if NAME in self.runs.tasks("job", "uid"):
            return
        launched = self.runs.launch(KEY, "node")
        if self.has_driver:
            self.asked.append((self._launch, launched.run))
        else:
            self.runs.withdraw(KEY, launched.run)

    @rule(choice=st.integers(0, 3))
    def hear(self, choice):
        """The node hears what it is asked, in any order."""
        if self.asked:
            do, run = self.asked.pop(choice % len(self.asked))
            do(run)
            self.report(whole=False)

    @rule()
    def end(self):
        """What runs on the node ends."""
        for run, status in self.node.items():
            if isinstance(status, Running):
                self.node[run] = Ended("exited", 0, None)
        self.report(whole=False)

    @rule(count=st.integers(1, 3))
    def hear_report(self, count):
        """The service hears what the node has told."""
        for _ in range(count):
            if self.reports:
                learnt = self.runs.learn("node", self.reports.pop(0))
                self.asked += [(self._release, run) for run in learnt.over]

    @rule(are_lost=st.booleans())
    def end_driver(self, are_lost):
        """The driver ends: what it has said is heard, what the node was asked may be."""
        if self.has_driver:
            self.has_driver = False
            self.hear_report(len(self.reports))
            if are_lost:
                self.asked.clear()
            while self.asked:
                self.hear(0)
            self.reports.clear()  # to a driver that has gone

    @rule()
    def begin_driver(self):
        """A driver takes its place, and is told everything by the node, at some time."""
        if not self.has_driver:
            self.runs.begin_driver()
            self.has_driver = True
            self.report(whole=True)

    @rule()
    def restart_service(self):
        """The service is killed and started again, and what was said to it is lost."""
        self.reports.clear()
        self.end_driver(are_lost=True)
        self.runs = Runs(self.state)

    @rule()
    def queue_again(self):
        """The job is queued again; its next run is another."""
        known = self.runs.forget("job", "uid")
        if known is not None and self.has_driver:
            self.asked.append((self._release, known.run))

    @rule()
    def rest(self):
        """All is heard: the service knows of the task what the node knows, and no more."""
        self.begin_driver()
        while self.asked or self.reports:
            self.hear(0)
            self.hear_report(1)
        known = self.runs.find("job", "uid")
        told = {name: status for name, (_, status) in self.runs.tasks("job", "uid").items()}
        if known is None or known.run not in self.node:
            assert told == {}
        else:
            assert told == {NAME: self.node[known.run]}
        assert set(self.node) <= ({known.run} if known is not None else set())

    @invariant()
    def nothing_starts_twice(self):
        """In one run."""
        assert all(count == 1 for count in self.starts.values())

    def _launch(self, run):
        """The node does nothing twice."""
        if run not in self.node:
            self.node[run] = Running()
            self.starts[run] = self.starts.get(run, 0) + 1

    def _release(self, run):
        self.node.pop(run, None)

    def report(self, *, whole):
        """Let the node tell, where somebody asks."""
        if self.has_driver:
            tasks = {("job", run): {NAME: status} for run, status in self.node.items()}
            self.reports.append(Changes(tasks, 1, whole=whole))


Tasks.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestTasks = Tasks.TestCase
