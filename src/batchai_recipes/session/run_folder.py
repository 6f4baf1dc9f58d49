"""RunFolder: what a session leaves behind that explains it, without a secret in it.

Everything that is written to the folder, and every line that is reported, passes through this one
class, which replaces the secrets that it knows.
"""

import json
import os
import platform
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchai_recipes.errors import BatchAIRecipesError, ConfigurationError
from batchai_recipes.runs.job_run import JobRun
from batchai_recipes.runs.state_change import StateChanges
from batchai_recipes.session.as_document import as_document
from batchai_recipes.session.redaction import Redaction, secrets_in

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import Job

_PACKAGES: Final = (
    "batchai-recipes",
    "azure-core",
    "azure-identity",
    "azure-mgmt-batchai",
    "azure-mgmt-resource",
    "azure-storage-file",
    "msrest",
    "requests",
)


class RunFolder:
    """The folder of one session: ``asked``, ``requests``, ``events`` and so on, as JSON.

    Args:
        path: The folder; made when missing.
        report: Told each line that is reported, without secrets.
        warn: Told each warning, without secrets; None for who is told the rest.
        new: Whether the session begins: its folder then has nothing of another one.

    Raises:
        ConfigurationError: The folder cannot be made, or holds another session's.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     folder = RunFolder(Path(parent, "run"), print)
        ...     folder.protect(["pa55word"])
        ...     folder.report("Signed in with pa55word")
        ...     "pa55word" in (folder.path / "events.jsonl").read_text()
        Signed in with <secret>
        False
    """

    def __init__(
        self,
        path: Path,
        report: Callable[[str], None],
        warn: Callable[[str], None] | None = None,
        *,
        new: bool = False,
    ) -> None:
        if new and (path / "asked.jsonl").exists():
            raise ConfigurationError(
                f"The run folder {path} holds another session's: name another with run_folder"
            )
        self.path = path
        self._say = report
        self._warn = warn or report
        self._redaction = Redaction()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _private(self._file("events.jsonl"), "", os.O_APPEND)
        except OSError as error:
            raise ConfigurationError(
                f"The run folder {path} cannot be made: {error.strerror}; name another with "
                f"run_folder"
            ) from error

    def protect(self, values: Sequence[object]) -> None:
        """Learn of secrets, before anything that may hold them is written.

        Args:
            values: Secrets, or builders, settings and the like that hold them.
        """
        texts = [one for one in values if isinstance(one, str)]
        self._redaction.add([*texts, *secrets_in(list(values))])

    def report(self, line: str) -> None:
        """Report a line, and write it down as an event.

        Args:
            line: The line.
        """
        clean = self._redaction.text(line)
        self._append("events.jsonl", {"event": clean})
        self._say(clean)

    def warn(self, line: str) -> None:
        """Warn of something that somebody should see to, and write it down as an event.

        Args:
            line: What it is, and what to do.
        """
        clean = self._redaction.text(line)
        self._append("events.jsonl", {"event": clean, "level": "warning"})
        self._warn(clean)

    def asked(self, what: str, value: object) -> None:
        """Write down what was asked for.

        Args:
            what: What it is, such as ``cluster``.
            value: The builder, or a document.
        """
        self.protect([value])
        self._append("asked.jsonl", {"what": what, "asked": as_document(value)})

    def request(self, what: str, path: str, body: object) -> None:
        """Write down what is about to be sent.

        Args:
            what: What it makes.
            path: The path on the endpoint.
            body: The body.
        """
        self._append("requests.jsonl", {"what": what, "method": "PUT", "path": path, "body": body})

    def staged(self, manifests: Sequence[object]) -> None:
        """Write down what is on the shares, with its hashes.

        Args:
            manifests: The manifest of each share.
        """
        self._write("staged.json", as_document(manifests))

    def versions(self, endpoint: str, *, embedded: bool, server: str | None = None) -> None:
        """Write down what the session runs with.

        Args:
            endpoint: The service's address.
            embedded: Whether it is the embedded one.
            server: What its answers say that it is, with its version; None before there is one.
        """
        versions = {name: _version(name) for name in _PACKAGES}
        service = {"endpoint": endpoint, "embedded": embedded, "version": server}
        machine = {"python": platform.python_version(), "platform": platform.platform()}
        self._write("versions.json", {**machine, "packages": versions, "service": service})

    def job(self, run: JobRun) -> dict[str, object]:
        """Write down the states of a job and its metrics; return its end for :meth:`result`.

        Args:
            run: The job.
        """
        try:
            details: Job = run.details()
        except BatchAIRecipesError as error:
            return {"job": run.name, "error": str(error)}
        changes = StateChanges(run.name)
        changes.look(details)
        for change in changes.all:
            when = change.time.isoformat() if change.time else None
            self._append("events.jsonl", {"job": run.name, "state": change.state, "since": when})
        try:
            for row in run.metrics():
                self._append("metrics.jsonl", {"job": run.name, "metrics": dict(row)})
        except BatchAIRecipesError:
            pass  # most jobs write none
        info = details.execution_info
        state = str(getattr(details.execution_state, "value", details.execution_state))
        return {"job": run.name, "state": state, "exit_code": info.exit_code if info else None}

    def result(self, document: dict[str, object]) -> None:
        """Write down how the session ended.

        Args:
            document: The result.
        """
        self._write("result.json", {"time": _now(), **document})

    def _file(self, name: str) -> Path:
        return self.path / name

    def _write(self, name: str, document: object) -> None:
        text = json.dumps(self._redaction.document(document), indent=2, ensure_ascii=False)
        self._attempt(lambda: _private(self._file(name), text + "\n", os.O_TRUNC))

    def _append(self, name: str, document: dict[str, object]) -> None:
        whole = self._redaction.document({"time": _now(), **document})
        line = json.dumps(whole, ensure_ascii=False) + "\n"
        self._attempt(lambda: _private(self._file(name), line, os.O_APPEND))

    def _attempt(self, write: Callable[[], None]) -> None:
        # A disk that is full must not keep a session from deleting what it made.
        try:
            write()
        except OSError as error:
            self._say(f"The run folder {self.path} cannot be written: {error.strerror}")


def _private(path: Path, text: str, how: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogatepass") as file:
        file.write(text)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
