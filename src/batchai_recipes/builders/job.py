"""What the builders of all toolkits share: a Batch AI job as a value."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from attrs import evolve, field, frozen
from typing_extensions import Self

from batchai_recipes.builders.container import Container
from batchai_recipes.builders.count import checked_count
from batchai_recipes.builders.directory import InputDirectory, OutputDirectory
from batchai_recipes.builders.environment_variable import (
    Secrets,
    Variables,
    checked_secret,
    checked_value,
    checked_variable,
    secret_models,
    variable_models,
)
from batchai_recipes.builders.key_vault import KeyVaultSecret
from batchai_recipes.builders.mount import (
    Mount,
    checked_node_path,
    mount_volumes,
    path_on_node,
    rooted,
)
from batchai_recipes.builders.mounting import MountingBuilder
from batchai_recipes.builders.references import check_directories, check_mounts
from batchai_recipes.errors import ConfigFileError, ConfigurationError
from batchai_recipes.names import checked_directory_id, checked_relative_path, checked_resource_name
from batchai_recipes.staging.mounted_path import MountedPath
from batchai_recipes.staging.storage_account import StorageAccount
from batchai_recipes.text import filled_text

if TYPE_CHECKING:
    from azure.mgmt.batchai import models
    from azure.mgmt.batchai.models import JobCreateParameters

_SIZE: Final = re.compile(r"[1-9][0-9]*[bkmgBKMG]?")

JobPriority: TypeAlias = Literal["low", "normal", "high"]


def _job_name(name: str) -> str:
    return checked_resource_name("job", name)


def _node_count(count: int) -> int:
    return checked_count("nodes of a job", count, at_least=1)


def _priority(priority: JobPriority) -> JobPriority:
    if priority not in ("low", "normal", "high"):
        raise ConfigurationError(f"{priority!r} is no priority: use 'low', 'normal' or 'high'")
    return priority


@frozen
class JobBuilder(MountingBuilder):
    """The base of each toolkit's builder; each method returns a new builder.

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.

    Example:
        >>> from batchai_recipes import CustomJobBuilder
        >>> job: JobBuilder = CustomJobBuilder("myjob").nodes(2).priority("high")
        >>> job.environment_variable("LEVEL", "1").environment
        (('LEVEL', '1'),)
    """

    name: str = field(converter=_job_name)
    node_count: int = field(default=1, converter=_node_count, kw_only=True)
    scheduling_priority: JobPriority = field(default="normal", converter=_priority, kw_only=True)
    inputs: tuple[InputDirectory, ...] = field(default=(), kw_only=True)
    outputs: tuple[OutputDirectory, ...] = field(default=(), kw_only=True)
    std_out_err: str | MountedPath | None = field(default=None, kw_only=True)
    image: Container | None = field(default=None, kw_only=True)
    environment: Variables = field(default=(), kw_only=True)
    secrets: Secrets = field(default=(), kw_only=True, repr=False)
    preparation: str | None = field(default=None, kw_only=True)
    max_wall_clock: timedelta | None = field(default=None, kw_only=True)

    def nodes(self, count: int) -> Self:
        """Run the job on a number of nodes at the same time.

        Args:
            count: How many nodes, 1 or more.

        Raises:
            ConfigurationError: The count is less than 1 or not a whole number.
        """
        return evolve(self, node_count=count)

    def priority(self, priority: JobPriority) -> Self:
        """Set which jobs go first when several wait for the same nodes.

        Args:
            priority: ``low``, ``normal`` or ``high``.

        Raises:
            ConfigurationError: The priority is another word.
        """
        return evolve(self, scheduling_priority=priority)

    def input(self, id: str, path: str | MountedPath) -> Self:  # noqa: A002 - the API's own word
        """Declare an input directory, seen by the job as ``$AZ_BATCHAI_INPUT_<id>``.

        Args:
            id: The id; letters, digits and ``_``.
            path: A path on a mounted share (``staging.mounted(...)``) or on the node.

        Raises:
            ConfigurationError: The id is not allowed or declared twice, or the path is empty or
                relative.
        """
        checked_directory_id("input directory", id)
        if any(known.id == id for known in self.inputs):
            raise ConfigurationError(f"Input directory {id!r} is declared twice")
        checked_node_path(f"The path of input directory {id!r}", path)
        return evolve(self, inputs=(*self.inputs, InputDirectory(id, path)))

    def output(
        self,
        id: str,  # noqa: A002 - the API's own word
        *,
        suffix: str | None = None,
        prefix: str | MountedPath | None = None,
    ) -> Self:
        """Declare an output directory, seen by the job as ``$AZ_BATCHAI_OUTPUT_<id>``.

        Args:
            id: The id; letters, digits and ``_``.
            suffix: The last part of the directory's path.
            prefix: Where the job's output begins; None for the cluster's first mounted share.

        Raises:
            ConfigurationError: The id is not allowed, declared twice or ``stdouterr`` (the
                service's own), the suffix leaves the output directory, or the prefix is relative.
        """
        checked_directory_id("output directory", id)
        if any(known.id.casefold() == id.casefold() for known in self.outputs):
            raise ConfigurationError(f"Output directory {id!r} is declared twice")
        if id.casefold() == "stdouterr":
            raise ConfigurationError(
                "Output directory 'stdouterr' is the service's own: use another id"
            )
        if suffix is not None:
            suffix = checked_relative_path("suffix of an output directory", suffix)
        if prefix is not None:
            checked_node_path(f"The prefix of output directory {id!r}", prefix)
        return evolve(self, outputs=(*self.outputs, OutputDirectory(id, suffix, prefix)))

    def std_out_err_path_prefix(self, prefix: str | MountedPath) -> Self:
        """Set where standard output, standard error and the execution log are stored.

        Args:
            prefix: A path on a mounted share or on the node; without a call of this method it is
                the cluster's first mounted share.

        Raises:
            ConfigurationError: The path is empty or relative.
        """
        checked_node_path("The std_out_err_path_prefix", prefix)
        return evolve(self, std_out_err=prefix)

    def container(
        self,
        image: str,
        *,
        server_url: str | None = None,
        username: str | None = None,
        password: str | KeyVaultSecret | None = None,
        shm_size: str | None = None,
    ) -> Self:
        """Ask for the job to run in a container; where the service has none, it says so in the log.

        Args:
            image: The image's name with its tag.
            server_url: The registry; None for the public one.
            username: The registry's user, for a private image.
            password: The user's password, or where to read it.
            shm_size: The size of ``/dev/shm`` in bytes, or with a unit as in ``2g``.

        Raises:
            ConfigurationError: The image's name is empty, one of user and password is missing, or
                the size is none.
        """
        filled_text("The container image's name", image)
        if (username is None) != (password is None):
            raise ConfigurationError("Give both username and password of the registry, or neither")
        if shm_size is not None and not _SIZE.fullmatch(shm_size):
            raise ConfigurationError(f"{shm_size!r} is no size: write it as '64m' or '2g'")
        container = Container(image, server_url, username, password, shm_size)
        return evolve(self, image=container)

    def environment_variable(self, name: str, value: str) -> Self:
        """Set an environment variable of the job's processes; the service shows it to readers.

        Args:
            name: The variable's name; names beginning with ``AZ_BATCH`` are the service's.
            value: Its value; ``$NAME`` is expanded on the node.

        Raises:
            ConfigurationError: The name is not allowed, reserved or set twice, or the value is no
                text.
        """
        checked_value(checked_variable(name, self._variable_names()), value)
        return evolve(self, environment=(*self.environment, (name, value)))

    def secret(self, name: str, value: str | KeyVaultSecret) -> Self:
        """Set an environment variable whose value the service never gives back.

        Args:
            name: The variable's name; names beginning with ``AZ_BATCH`` are the service's.
            value: Its value, or where the service shall read it.

        Raises:
            ConfigurationError: The name is not allowed, reserved or set twice, or the value is no
                text.
        """
        checked_secret(checked_variable(name, self._variable_names()), value)
        return evolve(self, secrets=(*self.secrets, (name, value)))

    def job_preparation(self, command_line: str) -> Self:
        """Run a command on each node before the job.

        Args:
            command_line: The command for the node's shell.

        Raises:
            ConfigurationError: The command is empty.
        """
        filled_text("The job preparation's command line", command_line)
        return evolve(self, preparation=command_line)

    def max_wall_clock_time(self, limit: timedelta) -> Self:
        """End the job when it has run for a time; the service's own limit is 7 days.

        Args:
            limit: The time, more than zero.

        Raises:
            ConfigurationError: The limit is zero or negative, or no timedelta.
        """
        if not isinstance(limit, timedelta):
            raise ConfigurationError(
                f"A job's wall clock time is a timedelta, not {limit!r}: write timedelta(hours=2)"
            )
        if limit <= timedelta(0):
            raise ConfigurationError(f"A job's wall clock time is more than zero, not {limit}")
        return evolve(self, max_wall_clock=limit)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        storage: StorageAccount | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Self:
        """Read a job from a ``job.json`` of the official recipes or ``az batchai job create -f``.

        Mounts of ``<AZURE_BATCHAI_STORAGE_ACCOUNT>`` become mounts of the session's account.

        Args:
            path: The file.
            name: The job's name; None for the one in the file, else the file's own.
            storage: The account that the placeholders ``<AZURE_BATCHAI_STORAGE_ACCOUNT>`` and
                ``<AZURE_BATCHAI_STORAGE_KEY>`` stand for elsewhere: ``connection.storage``.
            variables: What other placeholders stand for, by name, such as ``SECRET_TOKEN`` for
                ``<SECRET_TOKEN>``.

        Returns:
            A builder of the file's toolkit.

        Raises:
            ConfigFileError: The file cannot be read, is no such file, or has a property that is
                unknown or wrong, or a placeholder without a value; or this is a toolkit's class and
                the file is of another one. The message says where.

        Example:
            >>> import tempfile
            >>> from batchai_recipes import CustomJobBuilder, JobBuilder
            >>> job = CustomJobBuilder("hello").command_line("echo hello").nodes(2)
            >>> job = job.std_out_err_path_prefix("$AZ_BATCHAI_MOUNT_ROOT/external")
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = os.path.join(folder, "hello.json")
            ...     _ = job.to_file(path)
            ...     JobBuilder.from_file(path) == job
            True
        """
        from batchai_recipes.configfiles import read_job  # noqa: PLC0415 - it needs this class

        job = read_job(path, name=name, storage=storage, variables=variables)
        if not isinstance(job, cls):
            problem = f"made for {type(job).__name__}, not {cls.__name__}: use JobBuilder.from_file"
            raise ConfigFileError(os.fspath(path), "", problem)
        return job

    def to_file(
        self, path: str | os.PathLike[str], *, mounts: tuple[Mount, ...] | None = None
    ) -> tuple[str, ...]:
        """Write the job to a ``job.json``, with placeholders for its secrets.

        Args:
            path: The file; one that is there is replaced.
            mounts: What the cluster mounts: ``ClusterBuilder.mounts``; needed where the job names
                paths by their share, or leaves the place of its output to the cluster.

        Returns:
            The names of the placeholders for which :meth:`from_file` needs ``variables``.

        Raises:
            ConfigurationError: The job could not be built.
            ConfigFileError: The file cannot be written.
        """
        from batchai_recipes.configfiles import write_job  # noqa: PLC0415 - likewise

        return write_job(self, path, mounts=mounts)

    def build(
        self,
        *,
        cluster_id: str,
        mounts: tuple[Mount, ...] | None = None,
        storage: StorageAccount | None = None,
    ) -> "JobCreateParameters":
        """Return the parameters that azure-mgmt-batchai's ``jobs.begin_create`` takes.

        Args:
            cluster_id: The resource id of the cluster to run on.
            mounts: What the cluster mounts: ``ClusterBuilder.mounts``; None where that is not
                known, so that paths under its mount root are not checked.
            storage: The account of the volumes that the job mounts itself and that name none.

        Raises:
            ConfigurationError: The toolkit's settings are incomplete, a directory is named and not
                declared, a path is on a share or volume that is not mounted, or a default place is
                needed and no share is mounted.
        """
        parameters = self._parameters(cluster_id, mounts or (), storage)
        self._add_toolkit(parameters)
        document: object = parameters.serialize()  # type: ignore[no-untyped-call]  # msrest's
        inputs = [known.id for known in self.inputs]
        check_directories(document, inputs, [known.id for known in self.outputs])
        if mounts is not None:
            check_mounts(document, self.mounts, mounts)
        return parameters

    def _add_toolkit(self, parameters: "JobCreateParameters") -> None:
        """Add the toolkit's settings."""
        del parameters
        raise ConfigurationError(
            f"Job {self.name!r} has no toolkit: make it with a toolkit's own builder, such as "
            f"PyTorchJobBuilder or CntkJobBuilder"
        )

    def _parameters(
        self, cluster_id: str, mounts: tuple[Mount, ...], storage: StorageAccount | None
    ) -> "JobCreateParameters":
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        limit = self.max_wall_clock
        constraints = models.JobBasePropertiesConstraints(max_wall_clock_time=limit)
        return models.JobCreateParameters(
            cluster=models.ResourceId(id=cluster_id),
            node_count=self.node_count,
            scheduling_priority=self.scheduling_priority,
            mount_volumes=mount_volumes(self.mounts, storage),
            std_out_err_path_prefix=self._prefix(
                self.std_out_err, mounts, "std_out_err_path_prefix"
            ),
            input_directories=[self._input(known, mounts) for known in self.inputs],
            output_directories=[self._output(known, mounts) for known in self.outputs],
            container_settings=self.image.model() if self.image else None,
            environment_variables=variable_models(self.environment),
            secrets=secret_models(self.secrets),
            job_preparation=models.JobPreparation(command_line=self.preparation)
            if self.preparation
            else None,
            constraints=constraints if limit else None,
        )

    def _input(self, known: InputDirectory, mounts: tuple[Mount, ...]) -> "models.InputDirectory":
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        shares = rooted(self.mounts, mounts)
        path = path_on_node(known.path, shares, of=f"input directory {known.id!r}")
        return models.InputDirectory(id=known.id, path=path)

    def _output(
        self, known: OutputDirectory, mounts: tuple[Mount, ...]
    ) -> "models.OutputDirectory":
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        prefix = self._prefix(known.prefix, mounts, f"prefix of output directory {known.id!r}")
        return models.OutputDirectory(id=known.id, path_prefix=prefix, path_suffix=known.suffix)

    def _prefix(self, path: str | MountedPath | None, mounts: tuple[Mount, ...], of: str) -> str:
        shares = tuple(rooted(self.mounts, mounts))
        if path is not None:
            return path_on_node(path, shares, of=of)
        if not shares:
            raise ConfigurationError(
                f"Job {self.name!r} has no {of} and the cluster mounts no share to put it on: "
                f"set it, or mount a share with ClusterBuilder.mount(...)"
            )
        return shares[0][0]

    def _variable_names(self) -> set[str]:
        return {name for name, _ in (*self.environment, *self.secrets)}
