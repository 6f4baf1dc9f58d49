"""Running a task in a container, through the client of a container runtime."""

import base64
import contextlib
import json
import os
import time
from collections.abc import Callable
from typing import Any

from .processes import read_file

Run = Callable[[list[str], dict[str, str]], tuple[int, str]]
"""Runs a command to its end and returns its exit code and the end of its standard error."""

# The process that signals reach. The kernel keeps from the first process of a container those that
# it does not handle, so the command gets a parent that passes SIGTERM on.
_SHELL = (
    "command -v bash >/dev/null 2>&1 && shell=bash || shell=sh; "
    "trap 'kill -TERM \"$child\" 2>/dev/null' TERM; "
    '"$shell" -c "$0" & child=$!; wait "$child"; code=$?; '
    'while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done; exit "$code"'
)
# What steers the client itself. Their values for the container go in by a file.
_OF_THE_CLIENT = {
    *("HOME", "PATH", "TMPDIR", "LD_LIBRARY_PATH", "LD_PRELOAD", "SHELL", "USER"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
    *("DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"),
    *("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "CONTAINER_HOST", "STORAGE_DRIVER"),
}


_OWN_FAILURE = 125  # as of the runtimes' clients


class ContainerError(Exception):
    """The task cannot run in its container; the message says why."""


class ContainerTask:
    """A task that wants a container.

    Args:
        wanted: What the service said of it.
        private: A path beside which private files may be made.
        run: Runs commands of the client.
    """

    def __init__(self, wanted: dict[str, Any], private: str, run: Run) -> None:
        self._wanted = wanted
        self._run = run
        self._private = private
        self._runtime: dict[str, Any] = {}

    @property
    def remove_command(self) -> list[str]:
        """The command that kills and removes the container, if there is one."""
        # Podman would ask it to end first; Docker does not.
        at_once = ["--time=0"] if self._is_podman else []
        return [self._runtime["program"], "rm", "--force", *at_once, self._wanted["name"]]

    @property
    def client_environment(self) -> dict[str, str]:
        """The variables of the client, which are none of the container's."""
        variables: dict[str, str] = self._wanted["client_environment"]
        return variables

    def find_image(self) -> None:
        """Find a runtime that has the image, or get the image.

        Raises:
            ContainerError: There is neither.
        """
        if not self._wanted["runtimes"]:
            raise ContainerError(self._wanted["refusal"])
        if self._find_changed_image():
            return
        reference = self._wanted["pull"]
        image = self._wanted["image"]
        for runtime in self._wanted["runtimes"]:
            self._runtime = runtime
            for name in dict.fromkeys([image, reference or image]):
                if self._client("image", "inspect", name)[0] == 0:
                    self._wanted["image"] = name
                    return
        self._runtime = self._wanted["runtimes"][0]
        if reference is None:
            pull = f"{os.path.basename(self._runtime['program'])} pull {image}"
            raise ContainerError(
                f"the image is not on this machine (get it with `{pull}`, or name its registry in "
                "the job's imageSourceRegistry.serverUrl)"
            )
        self._pull(reference)
        self._wanted["image"] = reference

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Return the command that runs the container, and its variables.

        Raises:
            ContainerError: A variable cannot be given to a container.
            OSError: The file for the rest of the variables cannot be written.
        """
        given = self._wanted["environment"]
        by_file = {name: value for name, value in given.items() if name in _OF_THE_CLIENT}
        by_name = {name: value for name, value in given.items() if name not in _OF_THE_CLIENT}
        options = [] if self._wanted["keeps_changes"] else ["--rm"]
        for name in by_name:
            options += ["--env", name]  # its value comes from the client's own variables
        if by_file:
            options += ["--env-file", self._write_variables(by_file)]
        wanted, runtime = self._wanted, self._runtime
        command = [
            *(runtime["program"], "run", *runtime["options"], *wanted["options"], *options),
            *(wanted["image"], "-c", _SHELL, wanted["command_line"]),
        ]
        return command, {**by_name, **self.client_environment}

    def keep_changes(self) -> tuple[int, str]:
        """Make an image of what the task left, for the job's other tasks on its node.

        Returns:
            The exit code of the task then, and what is in the way.
        """
        if not self._wanted["keeps_changes"]:
            return 0, ""
        # Never the name of an image that is being removed: a requeued job prepares itself again.
        image = f"localhost/{self._wanted['name']}:{time.time_ns()}"
        record = {"runtime": self._runtime, "image": image}
        _write_private(self._wanted["changes_file"], json.dumps(record))
        code, told = self._client("commit", self._wanted["name"], image)
        return (0, "") if code == 0 else (_OWN_FAILURE, f"what it changed cannot be kept: {told}")

    def remove(self) -> None:
        """Kill and remove the container, if there is one, and what was private to it."""
        if self._runtime:
            self._run(self.remove_command, self.client_environment)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._variables_file)

    def _find_changed_image(self) -> bool:
        if self._wanted["keeps_changes"]:
            return False
        try:
            record = json.loads(read_file(self._wanted["changes_file"]))
        except FileNotFoundError:
            return False
        self._runtime = record["runtime"]
        self._wanted["image"] = record["image"]
        return True

    @property
    def _is_podman(self) -> bool:
        program: str = self._runtime["program"]
        return os.path.basename(program) == "podman"

    @property
    def _variables_file(self) -> str:
        return f"{self._private}.variables"

    def _write_variables(self, variables: dict[str, str]) -> str:
        if any("\n" in value for value in variables.values()):
            names = ", ".join(name for name, value in variables.items() if "\n" in value)
            raise ContainerError(f"the value of {names} has several lines")
        lines = "".join(f"{name}={value}\n" for name, value in variables.items())
        _write_private(self._variables_file, lines)
        return self._variables_file

    def _pull(self, reference: str) -> None:
        login = self._wanted["login"]
        folder = f"{self._private}.login"
        options: list[str] = []
        before: list[str] = []
        if login:
            user = f"{login['username']}:{login['password']}".encode()
            known = {login["server"]: {"auth": base64.b64encode(user).decode()}}
            os.makedirs(folder, 0o700, exist_ok=True)
            # Docker takes the folder, podman the file. A password is nothing for a command line.
            _write_private(f"{folder}/config.json", json.dumps({"auths": known}))
            if self._is_podman:
                options = ["--authfile", f"{folder}/config.json"]
            else:
                before = ["--config", folder]
        try:
            code, told = self._client(*before, "pull", "--quiet", *options, reference)
        finally:
            if login:
                os.unlink(f"{folder}/config.json")
                os.rmdir(folder)
        if code != 0:
            raise ContainerError(f"{reference} cannot be pulled: {told or f'exit code {code}'}")

    def _client(self, *arguments: str) -> tuple[int, str]:
        return self._run([self._runtime["program"], *arguments], self.client_environment)


def _write_private(path: str, content: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        os.write(descriptor, content.encode())
    finally:
        os.close(descriptor)
