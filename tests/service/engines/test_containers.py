"""Choosing a container runtime, and what it is told."""

import subprocess
from pathlib import Path

import pytest

from batchai_recipes.service.engines import containers
from batchai_recipes.service.engines.containers import (
    CHANGES_PREFIX,
    Bind,
    Containers,
    parse_policy,
    remove_changes,
)
from batchai_recipes.service.engines.engine import Container

IMAGE = Container("cntk:2.1", "echo hi", {"A": "b"})


class Runtimes:
    """Programs called docker and podman, and their answers."""

    def __init__(self, folder):
        self.folder = folder
        self.answers = {}
        self.asked = []
        self.now = 0.0

    def install(self, name, *, stderr="", code=0):
        """Put a program on the PATH that answers like this."""
        program = self.folder / name
        program.touch(mode=0o755)
        self.answers[name] = subprocess.CompletedProcess([name], code, "5.0", stderr)
        return str(program)

    def ask(self, command, environment):
        """Answer a question."""
        assert environment == {"PATH": str(self.folder)}
        name = Path(command[0]).name
        self.asked.append(name)
        return self.answers[name]

    def containers(self, policy="auto"):
        """Make what chooses between them."""
        path = {"PATH": str(self.folder)}
        return Containers(policy, path, ask=self.ask, clock=lambda: self.now)


@pytest.fixture
def runtimes(tmp_path):
    """No runtime at first."""
    return Runtimes(tmp_path)


def request_of(found, container=IMAGE, binds=()):
    """Describe a container to its supervisor."""
    return found.request(
        container, name="batchai-1", directory="/temp", binds=binds, changes_file="/job/image.json"
    )


class TestRuntimes:
    """Which runtimes there are."""

    def test_a_client_without_an_engine_is_no_runtime(self, runtimes):
        """It is asked; its last words are the reason."""
        runtimes.install("docker", stderr="one\nCannot connect to the Docker daemon\n", code=1)
        usable, refusal = runtimes.containers().runtimes()
        assert usable == ()
        assert refusal == (
            "there is no usable container runtime (docker: Cannot connect to the Docker daemon; "
            "podman is not installed)"
        )

    def test_what_works_is_asked_once(self, runtimes):
        """Docker before Podman."""
        programs = tuple(runtimes.install(name) for name in ("docker", "podman"))
        found = runtimes.containers()
        for _ in range(2):
            assert programs == found.runtimes()[0]
        assert runtimes.asked == ["docker", "podman"]

    def test_when_nothing_works_it_is_asked_again_after_a_while(self, runtimes):
        """Somebody may have started Docker."""
        runtimes.install("docker", code=1)
        found = runtimes.containers()
        assert found.runtimes()[0] == found.runtimes()[0] == ()
        assert runtimes.asked == ["docker"]
        program = runtimes.install("docker")
        runtimes.now = 61.0
        assert found.runtimes()[0] == (program,)

    def test_a_runtime_that_does_not_answer(self, runtimes):
        """Is none."""
        runtimes.install("podman")

        def hang(command, _):
            raise subprocess.TimeoutExpired(command, 20)

        runtimes.ask = hang
        assert "timed out after 20 seconds" in runtimes.containers().runtimes()[1]

    def test_a_service_that_runs_no_containers_asks_nobody(self, runtimes):
        """And says why there is none."""
        runtimes.install("docker")
        found = runtimes.containers("never")
        found.get_ready()
        request = request_of(found)
        assert (request["runtimes"], runtimes.asked) == ([], [])
        assert "--containers never" in request["refusal"]


class TestRequest:
    """What the supervisor is told."""

    @pytest.mark.parametrize(
        ("policy", "container", "pull"),
        [
            ("auto", IMAGE, None),
            ("require", IMAGE, "docker.io/library/cntk:2.1"),
            ("auto", Container("a/b", "", {}, registry="https://r.io/"), "r.io/a/b"),
            ("auto", Container("r.io/a/b", "", {}, registry="r.io"), "r.io/a/b"),
            ("auto", Container("r.io:5000/a", "", {}), "r.io:5000/a"),
        ],
    )
    def test_what_may_be_pulled(self, runtimes, policy, container, pull):
        """Of itself only what names its registry: the rest may long be gone, or never answer."""
        assert pull == request_of(runtimes.containers(policy), container)["pull"]

    def test_options_are_the_runtimes_own(self, runtimes, monkeypatch):
        """Shared memory, GPUs, binds and limits."""
        for name in ("docker", "podman"):
            runtimes.install(name)
        monkeypatch.setattr(containers, "_limits", lambda: ["--ulimit=nofile=1:1"])
        wanted = Container("i", "", {}, shm_size="2g", gpus=("0", "GPU-1"))
        binds = [Bind("/a"), Bind("/b", read_only=True)]
        request = request_of(runtimes.containers(), wanted, binds)
        docker, podman = (found["options"] for found in request["runtimes"])
        assert '--gpus="device=0,GPU-1"' in docker
        assert {"--device=nvidia.com/gpu=0", "--device=nvidia.com/gpu=GPU-1"} < set(podman)
        assert "--shm-size=2g" in docker
        assert "--ulimit=nofile=1:1" in podman
        assert "type=bind,source=/a,target=/a" in request["options"]
        assert "type=bind,source=/b,target=/b,readonly" in request["options"]

    def test_credentials_belong_to_a_registry(self, runtimes):
        """Docker's own has a name of its own."""
        known = Container("a", "", {}, username="u", password="p")
        login = request_of(runtimes.containers(), known)["login"]
        assert login == {
            "server": "https://index.docker.io/v1/",
            "username": "u",
            "password": "p",
        }
        assert "p" not in repr(known).split("=")


def test_podman_is_told_limits_only_where_it_may_not_set_its_own(tmp_path, monkeypatch):
    """As root without CAP_SYS_RESOURCE."""
    monkeypatch.setattr(containers.os, "geteuid", lambda: 0)
    (tmp_path / "status").write_text("Name:\tx\nCapEff:\t000001ffffffffff\n")
    assert containers._limits(tmp_path) == []
    (tmp_path / "status").write_text("Name:\tx\nCapEff:\t000001fffeffffff\n")
    assert containers._limits(tmp_path)[0] == "--runtime=runc"
    monkeypatch.setattr(containers.os, "geteuid", lambda: 1000)
    assert containers._limits(tmp_path) == []


def test_a_policy_that_does_not_exist_names_those_that_do():
    """And the variable that holds it."""
    with pytest.raises(ValueError, match="BATCHAI_RECIPES_CONTAINERS is 'always': use auto, req"):
        parse_policy("always")


def test_a_record_that_was_half_written_does_not_keep_a_jobs_folder(tmp_path, caplog):
    """Its supervisor may have been killed while it wrote."""
    for number, text in enumerate(['{"image":', "{}", "[]"]):
        (tmp_path / f"{CHANGES_PREFIX}{number}.json").write_text(text)

    remove_changes(tmp_path)

    assert len(caplog.messages) == 3
