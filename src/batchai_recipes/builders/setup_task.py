"""The command that prepares each node of a cluster."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import field, frozen

from batchai_recipes.builders.environment_variable import (
    Secrets,
    Variables,
    checked_variables,
    secret_models,
    variable_models,
)
from batchai_recipes.builders.key_vault import KeyVaultSecret
from batchai_recipes.builders.mount import Mount, checked_node_path, path_on_node, rooted
from batchai_recipes.builders.references import DIRECTORY, check_mounts
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.staging.mounted_path import MountedPath
from batchai_recipes.text import filled_text

if TYPE_CHECKING:
    from azure.mgmt.batchai import models


@frozen
class SetupTask:
    """A command that each node runs before it takes jobs.

    Args:
        command_line: The command for the node's shell.
        std_out_err: Where its output is stored; None for the first mounted share.
        environment: Its environment variables.
        secrets: Those with secret values, which are never shown.
    """

    command_line: str
    std_out_err: str | MountedPath | None = None
    environment: Variables = ()
    secrets: Secrets = field(default=(), repr=False)

    @classmethod
    def checked(
        cls,
        command_line: str,
        std_out_err: str | MountedPath | None,
        environment: Mapping[str, str] | None,
        secrets: Mapping[str, str | KeyVaultSecret] | None,
    ) -> "SetupTask":
        """Return the task if the service would take it.

        Args:
            command_line: The command.
            std_out_err: Where its output is stored.
            environment: Its environment variables.
            secrets: Those with secret values.

        Raises:
            ConfigurationError: The command is empty or names a directory of a job, or a variable's
                name is not allowed, reserved or used twice.

        Example:
            >>> SetupTask.checked("pip install x", None, {"LEVEL": "1"}, None).environment
            (('LEVEL', '1'),)
        """
        filled_text("The setup task's command line", command_line)
        plain, hidden = checked_variables(environment, secrets)
        for text in (command_line, *(value for _, value in plain)):
            if DIRECTORY.search(text):
                raise ConfigurationError(
                    f"The setup task's {text!r} names an input or output directory: those are of "
                    f"jobs, and it runs before any job"
                )
        if std_out_err is not None:
            checked_node_path("The std_out_err_path_prefix of the setup task", std_out_err)
        return cls(command_line, std_out_err, plain, hidden)

    def model(self, mounts: tuple[Mount, ...]) -> "models.SetupTask":
        """Return the official model.

        Args:
            mounts: What the cluster mounts.

        Raises:
            ConfigurationError: Its output shall be on a share that the cluster does not mount, or
                on the first one and there is none; or it names a place that is not mounted.
        """
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        shares = tuple(rooted((), mounts))
        prefix = self.std_out_err
        if prefix is None:
            if not shares:
                raise ConfigurationError(
                    "The setup task's output has no place and the cluster mounts no share to put "
                    "it on: give std_out_err_path_prefix, or mount a share"
                )
            prefix = shares[0][0]
        task = models.SetupTask(
            command_line=self.command_line,
            std_out_err_path_prefix=path_on_node(prefix, shares, of="setup task's output"),
            environment_variables=variable_models(self.environment) or None,
            secrets=secret_models(self.secrets) or None,
        )
        document: object = task.serialize()  # type: ignore[no-untyped-call]  # msrest's
        check_mounts(document, (), mounts)
        return task
