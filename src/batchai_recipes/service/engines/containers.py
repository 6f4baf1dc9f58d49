"""Whether and how the tasks of a job run in containers."""

import json
import logging
import os
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

from attrs import frozen

from batchai_recipes.service.engines.engine import Container
from batchai_recipes.service.engines.gpus import DEVICES

ContainerPolicy = Literal["auto", "require", "never"]
"""``require``: a job that names an image runs in it or fails. ``never``: it runs on the host.
``auto``: it runs in it where there is a container runtime that has the image, or can have it from
the registry that the job names; else on the host, and its execution log says so and why."""

POLICY_VARIABLE: Final = "BATCHAI_RECIPES_CONTAINERS"
"""The environment variable that holds the policy of an embedded service."""

# Docker first: where its engine runs, that is where people have their images.
_RUNTIMES: Final = {
    "docker": ("version", "--format", "{{.Server.Version}}"),
    "podman": ("images", "--quiet"),  # it has no engine; its storage has to work
}
_ASK_PATIENCE_SECONDS: Final = 20.0
_ASK_AGAIN_SECONDS: Final = 60.0
_CAP_SYS_RESOURCE: Final = 24
_MOST_FILES = _MOST_PROCESSES = 4096
CHANGES_PREFIX: Final = "image-of-"
"""Begins the names of the files in a job's folder that say which images its tasks left."""
_NEVER: Final = "this service runs no containers (--containers never)"


def parse_policy(text: str) -> ContainerPolicy:
    """Read a policy.

    Args:
        text: Its name.

    Raises:
        ValueError: There is none of that name.

    Example:
        >>> parse_policy("require")
        'require'
    """
    policies: tuple[ContainerPolicy, ...] = get_args(ContainerPolicy)
    for policy in policies:
        if policy == text:
            return policy
    raise ValueError(f"{POLICY_VARIABLE} is {text!r}: use {', '.join(policies)}")


_logger = logging.getLogger(__name__)

Ask = Callable[[Sequence[str], Mapping[str, str]], "subprocess.CompletedProcess[str]"]
"""Runs a command with an environment and returns its output. Raises OSError or SubprocessError."""


@frozen
class Bind:
    """A folder or file that a container sees where the host has it.

    Args:
        path: Where.
        read_only: Whether nothing may be written there.
    """

    path: str
    read_only: bool = False


@frozen
class _Answer:
    usable: tuple[str, ...]
    refusal: str
    until: float


class Containers:
    """Turns what a task wants of a container into what its supervisor does.

    Args:
        policy: When to use containers.
        environment: The variables of the runtime's client.
        ask: Asks a runtime.
        clock: Tells the seconds, for asking again when there was none.
    """

    def __init__(
        self,
        policy: ContainerPolicy,
        environment: Mapping[str, str],
        *,
        ask: Ask | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._environment = environment
        self._ask = ask or _run
        self._clock = clock
        self._lock = threading.Lock()
        self._answer: _Answer | None = None

    @property
    def are_run(self) -> bool:
        """Whether a task that wants a container may get one here."""
        return self._policy == "require" or (self._policy != "never" and bool(self.runtimes()[0]))

    def get_ready(self) -> None:
        """Begin to look for a runtime, so that no job has to wait for that; does not wait."""
        if self._policy != "never" and self._answer is None:
            threading.Thread(target=self.runtimes, name="container-runtime", daemon=True).start()

    def runtimes(self) -> tuple[tuple[str, ...], str]:
        """Find the container runtimes that really run containers.

        A client without an engine behind it is none, so each is asked. What works is remembered;
        when nothing does, that is looked at again after a minute.

        Returns:
            Their programs, and why there is none or not the other one.
        """
        with self._lock:
            if self._answer is None or self._clock() > self._answer.until:
                self._answer = self._look()
            return self._answer.usable, self._answer.refusal

    def request(
        self,
        container: Container,
        *,
        name: str,
        directory: str,
        binds: Sequence[Bind],
        changes_file: str,
        memory_limit_bytes: int | None = None,
    ) -> dict[str, Any]:
        """Describe a container to the supervisor that shall run it.

        Args:
            container: What the task wants.
            name: The container's name.
            directory: Where its process starts.
            binds: What it sees of the host.
            memory_limit_bytes: How much memory it may have; None for all there is.
            changes_file: Where the image is on record that a task of the job on this node left.
        """
        usable, refusal = ((), _NEVER) if self._policy == "never" else self.runtimes()
        return {
            "image": container.image,
            "required": self._policy == "require",
            "refusal": refusal,
            "runtimes": [
                {"program": program, "options": self._options(program, container)}
                for program in usable
            ],
            "pull": _pull_reference(container, even_unnamed=self._policy == "require"),
            "login": {
                "server": _registry_of(container) or "https://index.docker.io/v1/",
                "username": container.username,
                "password": container.password,
            }
            if container.username
            else None,
            "name": name,
            "keeps_changes": container.keeps_changes,
            "changes_file": changes_file,
            "options": [
                *("--name", name, "--workdir", directory),
                *([f"--memory={memory_limit_bytes}"] if memory_limit_bytes else []),
                *(option for bind in binds for option in _bind_options(bind)),
            ],
            "command_line": container.command_line,
            "environment": self._variables(container),
            "client_environment": dict(self._environment),
        }

    def _look(self) -> _Answer:
        usable = []
        refusals = []
        for name, question in _RUNTIMES.items():
            program = shutil.which(name, path=self._environment.get("PATH"))
            if program is None:
                refusals.append(f"{name} is not installed")
                continue
            try:
                answer = self._ask([program, *question], self._environment)
            except (OSError, subprocess.SubprocessError) as error:
                refusals.append(f"{name}: {error}")
                continue
            if answer.returncode == 0:
                usable.append(program)
            else:
                lines = answer.stderr.strip().splitlines() or [f"exit code {answer.returncode}"]
                refusals.append(f"{name}: {lines[-1]}")
        until = float("inf") if usable else self._clock() + _ASK_AGAIN_SECONDS
        refusal = f"there is no usable container runtime ({'; '.join(refusals)})"
        return _Answer(tuple(usable), refusal, until)

    def _variables(self, container: Container) -> dict[str, str]:
        of_mpi = {name: text for name, text in self._environment.items() if name[:5] == "OMPI_"}
        variables = {**of_mpi, **container.environment}
        if container.gpus:
            variables.pop(DEVICES, None)  # it sees no others, and counts them from 0
        return variables

    def _options(self, program: str, container: Container) -> list[str]:
        """Return the options of ``run`` that depend on the runtime."""
        options = ["--pull=never", "--log-driver=none", "--network=host"]
        options += ["--security-opt=label=disable", "--entrypoint=sh"]
        if container.shm_size:
            options.append(f"--shm-size={container.shm_size}")
        if Path(program).name == "podman":
            # Without privileges of its own, podman shows the user as root within.
            return [*options, "--user=0:0", *_gpu_options_of_podman(container), *_limits()]
        user = f"--user={os.geteuid()}:{os.getegid()}"
        return [*options, user, *_gpu_options_of_docker(container)]


def remove_changes(job_folder: Path) -> None:
    """Remove the images that the tasks of a job left.

    Args:
        job_folder: The job's folder; nothing of the job runs any more.
    """
    for place in job_folder.glob(f"{CHANGES_PREFIX}*.json"):
        try:
            record = json.loads(place.read_text(encoding="utf-8"))
            command = [record["runtime"]["program"], "rmi", "--force", record["image"]]
        except (OSError, ValueError, LookupError, TypeError) as error:
            _logger.warning("The image that %s is about stays: %r", place, error)
            continue
        try:
            done = _run(command, os.environ)
        except (OSError, subprocess.SubprocessError) as error:
            _logger.warning("%s failed: %s", " ".join(command), error)
            continue
        if done.returncode != 0 and "no such" not in done.stderr.lower():
            _logger.warning("%s failed: %s", " ".join(command), done.stderr.strip())


def _run(
    command: Sequence[str], environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  # a fixed command, found on the service's own PATH
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_ASK_PATIENCE_SECONDS,
        check=False,
    )


def _bind_options(bind: Bind) -> tuple[str, ...]:
    fields = ["type=bind", f"source={bind.path}", f"target={bind.path}"]
    return ("--mount", ",".join([*fields, *(["readonly"] if bind.read_only else [])]))


def _gpu_options_of_docker(container: Container) -> list[str]:
    devices = ",".join(container.gpus)
    return [f'--gpus="device={devices}"'] if devices else []


def _gpu_options_of_podman(container: Container) -> list[str]:
    return [f"--device=nvidia.com/gpu={gpu}" for gpu in container.gpus]


def _limits(proc: Path = Path("/proc/self")) -> list[str]:
    """Return the limits that podman has to be told of where it may not set its own.

    As root it gives containers more files and processes than a process without CAP_SYS_RESOURCE may
    give; crun gives up then however it is asked.
    """
    if os.geteuid() != 0 or _has_capability(_CAP_SYS_RESOURCE, proc):
        return []
    files = _at_most(_MOST_FILES, resource.RLIMIT_NOFILE)
    processes = _at_most(_MOST_PROCESSES, resource.RLIMIT_NPROC)
    return [
        "--runtime=runc",
        f"--ulimit=nofile={files}:{files}",
        f"--ulimit=nproc={processes}:{processes}",
    ]


def _at_most(wanted: int, limit: int) -> int:
    hard = resource.getrlimit(limit)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _has_capability(number: int, proc: Path) -> bool:
    for line in (proc / "status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return True


def _registry_of(container: Container) -> str:
    """Return the host of the registry that a job names, by itself or as part of its image.

    Example:
        >>> def registry(image, url=""):
        ...     return _registry_of(Container(image, "", {}, registry=url))
        >>> registry("microsoft/cntk:2.1"), registry("my.azurecr.io/cntk"), registry("localhost/a")
        ('', 'my.azurecr.io', 'localhost')
        >>> registry("cntk", "https://my.azurecr.io/")
        'my.azurecr.io'
    """
    if container.registry:
        return container.registry.partition("://")[2].strip("/") or container.registry.strip("/")
    host, slash, _ = container.image.partition("/")
    return host if slash and (host == "localhost" or {".", ":"} & set(host)) else ""


def _pull_reference(container: Container, *, even_unnamed: bool) -> str | None:
    """Return the full name under which to get an image that is not here; None for not at all.

    Example:
        >>> image = Container("microsoft/cntk:2.1", "", {})
        >>> _pull_reference(image, even_unnamed=False)
        >>> _pull_reference(image, even_unnamed=True)
        'docker.io/microsoft/cntk:2.1'
    """
    registry = _registry_of(container)
    if not registry:
        name = container.image if "/" in container.image else f"library/{container.image}"
        return f"docker.io/{name}" if even_unnamed else None
    whole = container.image.startswith(f"{registry}/")
    return container.image if whole else f"{registry}/{container.image}"
