"""A service that is killed at random loses no job, runs none twice and ends each as it should."""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests
from attrs import frozen

from batchai_recipes import ConnectionSettings
from batchai_recipes.service.scheduling.job_records import moment_of

# `BATCHAI_CHAOS_ROUNDS=30 pytest tests/end_to_end/test_chaos.py` is the long run.
ROUNDS = int(os.environ.get("BATCHAI_CHAOS_ROUNDS", "2"))
JOBS = 40
NODES = 8
KILLS = 3
PATIENCE_SECONDS = 120.0
LINES = 20_000
ENDED = {"succeeded", "failed"}


@frozen
class Kind:
    """One kind of job in the mix, and how it must end."""

    command: str
    exit_code: int = 0
    nodes: int = 1
    preparation: str | None = None
    lines: int = 1


MIX = (
    Kind("true"),
    Kind("sleep 0.3"),
    Kind("exit 3", exit_code=3),
    Kind("true", nodes=2, preparation="true"),
    Kind("sleep 0.2", nodes=4),
    Kind(f"seq 1 {LINES}", lines=LINES + 1),
    Kind("sleep 1"),
    Kind("kill -9 $$", exit_code=137),
)


class Killed:
    """A service in a process of its own, that a thread kills and starts again.

    Args:
        folder: Where it keeps its state.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._env_file = folder / "batchai.env"
        self._up = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._session = requests.Session()
        self._base = ""

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "stderr.txt").open("a") as errors:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "batchai_recipes.cli", "serve"),
                    *("--state-dir", str(self._folder), "--env-file", str(self._env_file)),
                ],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("Stop with"):
                break
        self.settings = ConnectionSettings.from_file(self._env_file)
        self._sign_in()
        self._up.set()

    def kill(self) -> None:
        """Kill it with -9."""
        self._up.clear()
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def folders_of_jobs(self) -> list[Path]:
        """Return what is left of jobs on the disk, once removing has had its time."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (left := [*(self._folder / "jobs").iterdir()]) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left

    def ask(self, method: str, path: str, body: object = None) -> requests.Response:
        """Send a request, again after each kill, until it is answered."""
        while True:
            assert self._up.wait(PATIENCE_SECONDS)
            url = f"{self._base}/subscriptions/{self.settings.subscription_id}{path}"
            try:
                answer = self._session.request(
                    method, url, params={"api-version": "2018-05-01"}, json=body, timeout=60
                )
            except requests.RequestException:
                if self._process is not None and self._process.poll() is None and self._up.is_set():
                    raise
                continue
            if answer.status_code != 401:  # a token of the process before
                return answer

    def _sign_in(self) -> None:
        settings = self.settings
        self._base = settings.endpoint
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(settings.ca_file)
        form = {
            "grant_type": "client_credentials",
            "client_id": settings.client_id,
            "client_secret": settings.client_secret,
            "scope": "https://management.azure.com/.default",
        }
        url = f"{self._base}/{settings.tenant_id}/oauth2/v2.0/token"
        token = self._session.post(url, form, timeout=60).json()["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"


def body_of(kind: Kind, name: str, cluster: str, folder: Path) -> dict[str, Any]:
    """Return the request for a job, which says in a file that it has begun and in its log both."""
    starts = folder / "starts.txt"
    command = (
        f"echo {name} >> {starts}; echo begin {name}; {{ {kind.command}; }}; "
        f"code=$?; [ $code = 0 ] && echo end {name}; exit $code"
    )
    if kind.exit_code:
        command = f"echo {name} >> {starts}; echo begin {name}; {kind.command}"
    properties: dict[str, Any] = {
        "cluster": {"id": cluster},
        "nodeCount": kind.nodes,
        "stdOutErrPathPrefix": str(folder / "logs"),
        "customToolkitSettings": {"commandLine": command},
    }
    if kind.preparation:
        properties["jobPreparation"] = {"commandLine": f"echo {name}-prep >> {starts}"}
    return {"properties": properties}


@pytest.fixture
def service(tmp_path):
    """A service that has been started."""
    folder = tmp_path / "state"
    folder.mkdir()
    killed = Killed(folder)
    try:
        killed.start()
        yield killed
    finally:
        killed.kill()


def descendants_of_jobs(mark: str) -> list[str]:
    """Return the processes whose command line names a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in text:
            found.append(text)
    return found


@pytest.mark.slow
@pytest.mark.timeout(60 + 60 * ROUNDS)
def test_every_job_ends_once_with_its_state_and_output(service, tmp_path):
    """Forty jobs of eight kinds on eight nodes, round by round, with kills at random moments."""
    chance = random.Random(ROUNDS)
    group = "/resourceGroups/chaos"
    workspace = f"{group}/providers/Microsoft.BatchAI/workspaces/w"
    cluster = f"{workspace}/clusters/c"
    scale = {"manual": {"targetNodeCount": NODES}}
    body = {
        "vmSize": "STANDARD_D1_V2",
        "scaleSettings": scale,
        "userAccountSettings": {"adminUserName": "demo"},
    }
    service.ask("PUT", group, {"location": "eastus"}).raise_for_status()
    service.ask("PUT", workspace, {"location": "eastus"}).raise_for_status()
    service.ask("PUT", cluster, {"properties": body}).raise_for_status()
    for number in range(ROUNDS):
        folder = tmp_path / f"round-{number}"
        (folder / "logs").mkdir(parents=True)
        experiment = f"{workspace}/experiments/e{number}"
        service.ask("PUT", experiment).raise_for_status()
        _play_round(service, chance, experiment, cluster, folder)
        shown = service.ask("GET", cluster).json()["properties"]
        assert shown["currentNodeCount"] == NODES
        assert sum(shown["nodeStateCounts"].values()) == NODES
        assert shown["nodeStateCounts"]["idleNodeCount"] == NODES
        assert descendants_of_jobs(str(folder)) == []
    # What a kill kept from being removed, the next start removes.
    service.kill()
    service.start()
    service.ask("GET", cluster)
    assert service.folders_of_jobs() == []


def _play_round(
    service: Killed, chance: random.Random, experiment: str, cluster: str, folder: Path
) -> None:
    mix = {f"job-{number:02d}": chance.choice(MIX) for number in range(JOBS)}
    pauses = [chance.uniform(0.05, 1.2) for _ in range(KILLS)]

    def kill_at_random() -> None:
        for pause in pauses:
            time.sleep(pause)  # not to wait for anything: this is the chaos
            service.kill()
            service.start()

    killing = threading.Thread(target=kill_at_random)
    killing.start()
    cluster_id = f"/subscriptions/{service.settings.subscription_id}{cluster}"
    for name, kind in mix.items():
        answer = service.ask(
            "PUT", f"{experiment}/jobs/{name}", body_of(kind, name, cluster_id, folder)
        )
        assert answer.status_code in {200, 202}, answer.text
    killing.join()
    jobs = _all_ended(service, experiment)

    assert set(jobs) == set(mix)
    starts = Counter((folder / "starts.txt").read_text().split())
    for name, kind in mix.items():
        properties = jobs[name]["properties"]
        info = properties["executionInfo"]
        expected = ("failed" if kind.exit_code else "succeeded", kind.exit_code)
        assert (properties["executionState"], info["exitCode"]) == expected, properties
        assert moment_of(info["startTime"]) <= moment_of(info["endTime"])
        assert starts.pop(name) == 1, name
        if kind.preparation:
            assert starts.pop(f"{name}-prep") == kind.nodes
        segment = properties["jobOutputDirectoryPathSegment"]
        output = (folder / "logs" / segment / "stdouterr" / "stdout.txt").read_text().splitlines()
        lines = [f"begin {name}"]
        if kind.lines > 1:
            lines += [str(line) for line in range(1, LINES + 1)]
        if not kind.exit_code:
            lines.append(f"end {name}")
        assert output == lines
    assert not starts


def _all_ended(service: Killed, experiment: str) -> dict[str, Any]:
    """Return the jobs by name once all have ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = 0.02
    while True:
        jobs = {
            job["name"]: job for job in service.ask("GET", f"{experiment}/jobs").json()["value"]
        }
        if all(job["properties"]["executionState"] in ENDED for job in jobs.values()):
            return jobs
        assert time.monotonic() < deadline, jobs
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
