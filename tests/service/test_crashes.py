"""The service is killed at random moments: what it acknowledged is there, nothing half-made is.

``BATCHAI_CRASH_ROUNDS`` says how many times it is killed; the whole suite does it a few times.
"""

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from attrs import define, field

from batchai_recipes.service.address import ServiceAddress
from batchai_recipes.service.schema import MIGRATIONS
from batchai_recipes.service.state_directory import StateDirectory

ROUNDS = int(os.environ.get("BATCHAI_CRASH_ROUNDS", "3"))
OPERATIONS = 200
CLIENTS = 4
PATIENCE = 60
GONE = None


@contextmanager
def serving(state: StateDirectory) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service, at least until the block ends."""
    ready, told = os.pipe()
    command = [
        *(sys.executable, "-m", "batchai_recipes.service", "--state-dir", str(state.root)),
        *("--ready-fd", str(told)),
    ]
    with state.log.open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, pass_fds=(told,))
    os.close(told)
    with process, os.fdopen(ready, "rb") as pipe:
        assert pipe.read(1) == b"1", state.log.read_text()
        try:
            yield process
        finally:
            process.terminate()


def session_of(address: ServiceAddress) -> requests.Session:
    """Return a session that is signed in."""
    session = requests.Session()
    session.trust_env = False
    session.verify = address.ca_file
    answer = session.post(
        f"{address.endpoint}/{address.tenant_id}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": address.client_id,
            "client_secret": address.client_secret,
            "scope": "https://management.azure.com/.default",
        },
        timeout=PATIENCE,
    )
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    session.params = {"api-version": "2018-05-01"}
    return session


@define
class Client:
    """Does random things in a workspace of its own, and knows what must have come of them.

    ``known`` has, by path, what was acknowledged last; ``doubtful`` what else may be there, since
    the service died before it answered.
    """

    number: int
    choose: random.Random
    known: dict[str, object] = field(factory=dict)
    doubtful: dict[str, object] = field(factory=dict)
    base: str = ""
    session: requests.Session = field(factory=requests.Session)

    @property
    def group(self) -> str:
        """The path of the resource group."""
        return f"/resourceGroups/group{self.number}"

    @property
    def workspace(self) -> str:
        """The path of the workspace."""
        return f"{self.group}/providers/Microsoft.BatchAI/workspaces/workspace"

    def sign_in(self, address: ServiceAddress) -> None:
        """Use a service from now on."""
        self.session.close()
        self.session = session_of(address)
        self.base = f"{address.endpoint}/subscriptions/{address.subscription_id}"

    def ask(self, method: str, path: str, body: object = None) -> requests.Response:
        """Send a request."""
        return self.session.request(method, self.base + path, json=body, timeout=PATIENCE)

    def change(self, method: str, path: str, body: object, then: dict[str, object]) -> None:
        """Change something; remember what is there then."""
        self.doubtful = then
        answer = self.ask(method, path, body)
        assert answer.status_code in {200, 201, 202}, answer.text
        self.known |= then
        self.doubtful = {}

    def set_up(self) -> None:
        """Make the group and the workspace."""
        place = {"location": "northeurope"}
        self.change("PUT", self.group, place, {})
        self.change("PUT", self.workspace, place, {self.workspace: {}})

    def act(self) -> None:
        """Do one random thing that makes sense."""
        collection = self.choose.choice(["experiments", "clusters", "jobs", "jobs", "tags"])
        if collection == "tags":
            tags = {"mark": str(self.choose.random())}
            self.change("PATCH", self.workspace, {"tags": tags}, {self.workspace: tags})
        elif collection == "jobs":
            self._act_on_job(f"{self.workspace}/experiments/e{self.choose.randrange(3)}")
        else:
            self._act_on(collection, f"{self.workspace}/{collection}/e{self.choose.randrange(3)}")

    def _act_on(self, collection: str, path: str) -> None:
        if self.known.get(path, GONE) is not GONE:
            if collection == "clusters" and self.choose.random() < 0.5:
                scale = self._scale()
                body = {"properties": {"scaleSettings": scale}}
                self.change("PATCH", path, body, {path: scale})
                return
            within = [known for known in self.known if known.startswith(f"{path}/")]
            if collection == "experiments" or not self._jobs():
                self.change("DELETE", path, None, dict.fromkeys([path, *within], GONE))
                self._await_end(path)
        elif collection == "clusters":
            scale = self._scale()
            properties = {
                "vmSize": "STANDARD_NC6",
                "scaleSettings": scale,
                "userAccountSettings": {"adminUserName": "demo"},
            }
            self.change("PUT", path, {"properties": properties}, {path: scale})
        else:
            self.change("PUT", path, None, {path: True})

    def _act_on_job(self, experiment: str) -> None:
        clusters = [path for path in self._present() if "/clusters/" in path]
        path = f"{experiment}/jobs/j{self.choose.randrange(4)}"
        if self.known.get(experiment, GONE) is GONE or not clusters:
            return
        if self.known.get(path, GONE) is GONE:
            mark = str(self.choose.random())
            properties = {
                "cluster": {
                    "id": f"{self.base.removeprefix(self.base.partition('/sub')[0])}{clusters[0]}"
                },
                "nodeCount": 100,  # more than any cluster may get: it stays queued
                "customToolkitSettings": {"commandLine": "true"},
                "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/afs",
                "environmentVariables": [{"name": "MARK", "value": mark}],
            }
            self.change("PUT", path, {"properties": properties}, {path: (mark, "queued")})
        elif self.choose.random() < 0.5:
            self.change("DELETE", path, None, {path: GONE})
            self._await_end(path)
        else:
            mark, _ = self.known[path]
            self.change("POST", f"{path}/terminate", None, {path: (mark, "failed")})

    def _scale(self) -> dict:
        # Too few for any job, so that no node is ever started.
        return {
            "autoScale": {
                "minimumNodeCount": 0,
                "maximumNodeCount": self.choose.randrange(1, 99),
                "initialNodeCount": 0,
            }
        }

    def _present(self) -> list[str]:
        return [path for path, value in self.known.items() if value is not GONE]

    def _jobs(self) -> list[str]:
        return [path for path in self._present() if "/jobs/" in path]

    def _await_end(self, path: str) -> None:
        """Wait for the end of a deletion, so that the name is free again."""
        deadline = time.monotonic() + PATIENCE
        while self.ask("GET", path).status_code != 404:
            assert time.monotonic() < deadline, path

    def check(self) -> None:
        """Look at everything that was ever there, and take over what is there now."""
        for path in {*self.known, *self.doubtful}:
            allowed = [self.known.get(path, GONE)]
            if path in self.doubtful:
                allowed.append(self.doubtful[path])
            seen = self._settled(path, allowed)
            assert seen in allowed, f"{path} is {seen}, acknowledged was {allowed}"
            self.known[path] = seen
        self.doubtful = {}
        self._check_lists()

    def _settled(self, path: str, allowed: list) -> object:
        """Return what is at a path once the scheduler has taken up what was asked for."""
        deadline = time.monotonic() + PATIENCE
        while True:
            seen, settled = self._look(path)
            if (settled and seen in allowed) or time.monotonic() > deadline:
                return seen

    def _look(self, path: str) -> tuple[object, bool]:
        answer = self.ask("GET", path)
        if answer.status_code == 404:
            return GONE, True
        assert answer.status_code == 200, answer.text
        document = answer.json()
        properties = document["properties"]
        settled = properties["provisioningState"] == "succeeded"
        if "/jobs/" in path:
            [mark] = properties["environmentVariables"]
            return (mark["value"], properties["executionState"]), settled
        if "/clusters/" in path:
            assert properties["allocationState"] in {"steady", "resizing"}
            return properties["scaleSettings"], settled
        if "/experiments/" in path:
            return True, settled
        return document.get("tags", {}), settled

    def _check_lists(self) -> None:
        """Lists show what is there and nothing else."""
        shown = {self.workspace}
        for collection in ("experiments", "clusters"):
            shown |= self._listed(f"{self.workspace}/{collection}")
        for experiment in [path for path in shown if "/experiments/" in path]:
            shown |= self._listed(f"{experiment}/jobs")
        assert shown == set(self._present())

    def _listed(self, path: str) -> set[str]:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return {f"{path}/{one['name']}" for one in answer.json()["value"]}


@define
class Round:
    """Clients that go on until the service dies under them or enough is done."""

    kill_after: int
    process: subprocess.Popen[bytes]
    done: int = 0
    changed: threading.Condition = field(factory=threading.Condition)
    failures: list[AssertionError] = field(factory=list)

    def work(self, client: Client) -> None:
        """Let a client do its part."""
        try:
            while self.done < OPERATIONS:
                client.act()
                self._count()
        except requests.RequestException:
            if self.done < self.kill_after:  # nobody has killed it yet
                self.failures.append(AssertionError("the service broke off"))
        except AssertionError as failure:  # told by the test's own thread
            self.failures.append(failure)
        finally:
            self._count()

    def _count(self) -> None:
        with self.changed:
            self.done += 1
            self.changed.notify_all()

    def run(self, clients: list[Client]) -> None:
        """Let all clients work, and kill the service on the way."""
        threads = [threading.Thread(target=self.work, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        with self.changed:
            assert self.changed.wait_for(lambda: self.done >= self.kill_after, PATIENCE * 2)
        self.process.kill()
        for thread in threads:
            thread.join()
        self.process.wait()


def _check_records(state: StateDirectory) -> None:
    """Every record belongs to another, and none lacks one."""
    database = sqlite3.connect(state.database)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    for kind, table in (("job", "jobs"), ("cluster", "clusters")):
        lonely = database.execute(
            f"SELECT key FROM resources WHERE kind = ? AND key NOT IN (SELECT key FROM {table})",
            (kind,),
        )
        assert lonely.fetchall() == []
    database.close()


@pytest.mark.slow
@pytest.mark.timeout(60 + 60 * ROUNDS)
def test_a_killed_service_loses_nothing_and_shows_nothing_half_made(tmp_path: Path) -> None:
    """Two hundred mixed operations of several clients, and no moment is the wrong one."""
    state = StateDirectory(tmp_path)
    seed = int(os.environ.get("BATCHAI_CRASH_SEED", "0")) or random.SystemRandom().getrandbits(32)
    print(f"BATCHAI_CRASH_SEED={seed}")  # noqa: T201 - shown when the test fails
    choose = random.Random(seed)
    clients = [Client(number, random.Random(choose.random())) for number in range(CLIENTS)]
    state.create()
    for number in range(ROUNDS + 1):
        with serving(state) as process:
            address = ServiceAddress.from_file(state.address)
            for client in clients:
                client.sign_in(address)
                client.check() if number else client.set_up()
            if number == ROUNDS:
                break
            one = Round(choose.randrange(1, OPERATIONS), process)
            one.run(clients)
            assert one.failures == []
        _check_records(state)
    for client in clients:
        client.session.close()
