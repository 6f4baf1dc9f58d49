"""CntkJobBuilder: a job that runs a CNTK program."""

from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from batchai_recipes.builders.command_line import shell_words
from batchai_recipes.builders.job import JobBuilder
from batchai_recipes.builders.mount import FileShareMount
from batchai_recipes.errors import ConfigurationError

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import JobCreateParameters


@frozen
class CntkJobBuilder(JobBuilder):
    """Describes a job of the CNTK toolkit; each method returns a new builder.

    Args:
        name: The job's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.

    Example:
        >>> job = (
        ...     CntkJobBuilder("myjob")
        ...     .script("$AZ_BATCHAI_INPUT_SAMPLE/ConvNet_MNIST.py")
        ...     .args("$AZ_BATCHAI_INPUT_SAMPLE", "--epochs", "2")
        ...     .input("SAMPLE", "$AZ_BATCHAI_MOUNT_ROOT/share/sample")
        ...     .std_out_err_path_prefix("$AZ_BATCHAI_MOUNT_ROOT/share")
        ... )
        >>> print(job.build(cluster_id="/clusters/demo").cntk_settings.command_line_args)
        "$AZ_BATCHAI_INPUT_SAMPLE" --epochs 2
    """

    python_script: str | None = field(default=None, kw_only=True)
    interpreter: str | None = field(default=None, kw_only=True)
    arguments: tuple[str, ...] = field(default=(), kw_only=True)

    def script(self, path: str) -> "CntkJobBuilder":
        """Set the Python script to run.

        Args:
            path: The script's path on the node; ``$NAME`` is expanded there.

        Raises:
            ConfigurationError: The path is empty.
        """
        if not path.strip():
            raise ConfigurationError("The script's path is empty")
        return evolve(self, python_script=path)

    def python_interpreter(self, path: str) -> "CntkJobBuilder":
        """Set the Python interpreter; without it, the node's own runs the script.

        Args:
            path: The interpreter's path on the node.

        Raises:
            ConfigurationError: The path is empty.
        """
        if not path.strip():
            raise ConfigurationError("The Python interpreter's path is empty")
        return evolve(self, interpreter=path)

    def args(self, *arguments: str) -> "CntkJobBuilder":
        """Set the script's arguments, replacing earlier ones.

        Args:
            arguments: One string for each argument; ``$NAME`` is expanded on the node.
        """
        return evolve(self, arguments=arguments)

    def build(
        self, *, cluster_id: str, mounts: tuple[FileShareMount, ...] = ()
    ) -> "JobCreateParameters":
        """Return the parameters that azure-mgmt-batchai's ``jobs.begin_create`` takes.

        Args:
            cluster_id: The resource id of the cluster to run on.
            mounts: What the cluster mounts: ``ClusterBuilder.mounts``.

        Raises:
            ConfigurationError: No script was set, a path is on a share that the cluster does not
                mount, or a default place is needed and the cluster mounts no share.
        """
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        if self.python_script is None:
            raise ConfigurationError(
                f"Job {self.name!r} has no script: add .script('$AZ_BATCHAI_INPUT_.../train.py')"
            )
        # attrs' slotted classes are made anew, which plain super() would not find.
        parameters = JobBuilder.build(self, cluster_id=cluster_id, mounts=mounts)
        parameters.cntk_settings = models.CNTKsettings(
            language_type="Python",
            python_script_file_path=self.python_script,
            python_interpreter_path=self.interpreter,
            command_line_args=shell_words(*self.arguments) or None,
        )
        return parameters
