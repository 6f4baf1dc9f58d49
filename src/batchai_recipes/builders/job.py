"""What the builders of all toolkits share: a Batch AI job as a value."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from attrs import evolve, field, frozen
from typing_extensions import Self

from batchai_recipes.builders.container import Container
from batchai_recipes.builders.count import checked_count
from batchai_recipes.builders.directory import InputDirectory, OutputDirectory
from batchai_recipes.builders.mount import FileShareMount, path_on_node
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import checked_directory_id, checked_relative_path, checked_resource_name
from batchai_recipes.staging.mounted_path import MountedPath

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import ContainerSettings, JobCreateParameters

JobPriority: TypeAlias = Literal["low", "normal", "high"]

_VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED_PREFIX: Final = "AZ_BATCH"


def _job_name(name: str) -> str:
    return checked_resource_name("job", name)


@frozen
class JobBuilder:
    """The base of each toolkit's builder; each method returns a new builder.

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.
    """

    name: str = field(converter=_job_name)
    node_count: int = field(default=1, kw_only=True)
    scheduling_priority: JobPriority = field(default="normal", kw_only=True)
    inputs: tuple[InputDirectory, ...] = field(default=(), kw_only=True)
    outputs: tuple[OutputDirectory, ...] = field(default=(), kw_only=True)
    std_out_err: str | MountedPath | None = field(default=None, kw_only=True)
    image: Container | None = field(default=None, kw_only=True)
    environment: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)
    secrets: tuple[tuple[str, str], ...] = field(default=(), kw_only=True, repr=False)
    preparation: str | None = field(default=None, kw_only=True)
    max_wall_clock: timedelta | None = field(default=None, kw_only=True)

    def nodes(self, count: int) -> Self:
        """Run the job on a number of nodes at the same time.

        Args:
            count: How many nodes, 1 or more.

        Raises:
            ConfigurationError: The count is less than 1 or not a whole number.
        """
        return evolve(self, node_count=checked_count("nodes of a job", count, at_least=1))

    def priority(self, priority: JobPriority) -> Self:
        """Set which jobs go first when several wait for the same nodes.

        Args:
            priority: ``low``, ``normal`` or ``high``.

        Raises:
            ConfigurationError: The priority is another word.
        """
        if priority not in {"low", "normal", "high"}:
            raise ConfigurationError(f"{priority!r} is no priority: use 'low', 'normal' or 'high'")
        return evolve(self, scheduling_priority=priority)

    def input(self, id: str, path: str | MountedPath) -> Self:  # noqa: A002 - the API's own word
        """Declare an input directory, seen by the job as ``$AZ_BATCHAI_INPUT_<id>``.

        Args:
            id: The id; letters, digits and ``_``.
            path: A path on a mounted share (``staging.mounted(...)``) or on the node.

        Raises:
            ConfigurationError: The id is not allowed or declared twice, or the path is empty.
        """
        checked_directory_id("input directory", id)
        if any(known.id == id for known in self.inputs):
            raise ConfigurationError(f"Input directory {id!r} is declared twice")
        if not path:
            raise ConfigurationError(f"The path of input directory {id!r} is empty")
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
                service's own), or the suffix leaves the output directory.
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
        return evolve(self, outputs=(*self.outputs, OutputDirectory(id, suffix, prefix)))

    def std_out_err_path_prefix(self, prefix: str | MountedPath) -> Self:
        """Set where standard output, standard error and the execution log are stored.

        Args:
            prefix: A path on a mounted share or on the node; without a call of this method it is
                the cluster's first mounted share.
        """
        return evolve(self, std_out_err=prefix)

    def container(
        self,
        image: str,
        *,
        server_url: str | None = None,
        username: str | None = None,
        password: str | None = None,
    ) -> Self:
        """Ask for the job to run in a container; where the service has none, it says so in the log.

        Args:
            image: The image's name with its tag.
            server_url: The registry; None for the public one.
            username: The registry's user, for a private image.
            password: The user's password.

        Raises:
            ConfigurationError: The image's name is empty, or one of user and password is missing.
        """
        if not image.strip():
            raise ConfigurationError("The container image's name is empty")
        if (username is None) != (password is None):
            raise ConfigurationError("Give both username and password of the registry, or neither")
        return evolve(self, image=Container(image, server_url, username, password))

    def environment_variable(self, name: str, value: str) -> Self:
        """Set an environment variable of the job's processes; the service shows it to readers.

        Args:
            name: The variable's name; names beginning with ``AZ_BATCH`` are the service's.
            value: Its value; ``$NAME`` is expanded on the node.

        Raises:
            ConfigurationError: The name is not allowed, reserved or set twice.
        """
        self._check_variable(name)
        return evolve(self, environment=(*self.environment, (name, value)))

    def secret(self, name: str, value: str) -> Self:
        """Set an environment variable whose value the service never gives back.

        Args:
            name: The variable's name; names beginning with ``AZ_BATCH`` are the service's.
            value: Its value.

        Raises:
            ConfigurationError: The name is not allowed, reserved or set twice.
        """
        self._check_variable(name)
        return evolve(self, secrets=(*self.secrets, (name, value)))

    def job_preparation(self, command_line: str) -> Self:
        """Run a command on each node before the job.

        Args:
            command_line: The command for the node's shell.

        Raises:
            ConfigurationError: The command is empty.
        """
        if not command_line.strip():
            raise ConfigurationError("The job preparation's command line is empty")
        return evolve(self, preparation=command_line)

    def max_wall_clock_time(self, limit: timedelta) -> Self:
        """End the job when it has run for a time; the service's own limit is 7 days.

        Args:
            limit: The time, more than zero.

        Raises:
            ConfigurationError: The limit is zero or negative.
        """
        if limit <= timedelta(0):
            raise ConfigurationError(f"A job's wall clock time is more than zero, not {limit}")
        return evolve(self, max_wall_clock=limit)

    def build(
        self, *, cluster_id: str, mounts: tuple[FileShareMount, ...] = ()
    ) -> "JobCreateParameters":
        """Return the parameters that azure-mgmt-batchai's ``jobs.begin_create`` takes.

        Args:
            cluster_id: The resource id of the cluster to run on.
            mounts: What the cluster mounts: ``ClusterBuilder.mounts``.

        Raises:
            ConfigurationError: The toolkit's settings are incomplete, a path is on a share that the
                cluster does not mount, or a default place is needed and the cluster mounts no
                share.
        """
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        constraints = (
            models.JobBasePropertiesConstraints(max_wall_clock_time=self.max_wall_clock)
            if self.max_wall_clock
            else None
        )
        parameters = models.JobCreateParameters(
            cluster=models.ResourceId(id=cluster_id),
            node_count=self.node_count,
            scheduling_priority=self.scheduling_priority,
            std_out_err_path_prefix=self._prefix(
                self.std_out_err, mounts, "std_out_err_path_prefix"
            ),
            input_directories=[
                models.InputDirectory(
                    id=known.id,
                    path=path_on_node(known.path, mounts, of=f"input directory {known.id!r}"),
                )
                for known in self.inputs
            ],
            output_directories=[
                models.OutputDirectory(
                    id=known.id,
                    path_prefix=self._prefix(
                        known.prefix, mounts, f"prefix of output directory {known.id!r}"
                    ),
                    path_suffix=known.suffix,
                )
                for known in self.outputs
            ],
            container_settings=self._container_settings(),
            environment_variables=[
                models.EnvironmentVariable(name=name, value=value)
                for name, value in self.environment
            ],
            secrets=[
                models.EnvironmentVariableWithSecretValue(name=name, value=value)
                for name, value in self.secrets
            ],
            job_preparation=models.JobPreparation(command_line=self.preparation)
            if self.preparation
            else None,
            constraints=constraints,
        )
        self._add_toolkit(parameters)
        return parameters

    def _add_toolkit(self, parameters: "JobCreateParameters") -> None:
        """Add the toolkit's settings."""
        del parameters
        raise ConfigurationError(
            f"Job {self.name!r} has no toolkit: make it with a toolkit's own builder, such as "
            f"PyTorchJobBuilder or CntkJobBuilder"
        )

    def _prefix(
        self, path: str | MountedPath | None, mounts: tuple[FileShareMount, ...], of: str
    ) -> str:
        if path is not None:
            return path_on_node(path, mounts, of=of)
        if not mounts:
            raise ConfigurationError(
                f"Job {self.name!r} has no {of} and the cluster mounts no share to put it on: "
                f"set it, or mount a share with ClusterBuilder.mount(...)"
            )
        return mounts[0].root

    def _container_settings(self) -> "ContainerSettings | None":
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        if self.image is None:
            return None
        credentials = (
            models.PrivateRegistryCredentials(
                username=self.image.username, password=self.image.password
            )
            if self.image.username
            else None
        )
        return models.ContainerSettings(
            image_source_registry=models.ImageSourceRegistry(
                image=self.image.image,
                server_url=self.image.server_url,
                credentials=credentials,
            )
        )

    def _check_variable(self, name: str) -> None:
        if not _VARIABLE_NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} is no name for an environment variable")
        if name.upper().startswith(_RESERVED_PREFIX):
            raise ConfigurationError(
                f"Names beginning with {_RESERVED_PREFIX} are the service's own: rename {name!r}"
            )
        if any(name == known for known, _ in (*self.environment, *self.secrets)):
            raise ConfigurationError(f"Environment variable {name!r} is set twice")
