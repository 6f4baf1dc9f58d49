"""ClusterBuilder: a Batch AI cluster as a value."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen
from typing_extensions import Self

from batchai_recipes.builders.admin_user import AdminUser
from batchai_recipes.builders.app_insights import AppInsights
from batchai_recipes.builders.cluster_limits import ClusterLimits
from batchai_recipes.builders.key_vault import KeyVaultSecret
from batchai_recipes.builders.machine import MachineBuilder
from batchai_recipes.builders.mount import mount_volumes
from batchai_recipes.builders.mounting import MountingBuilder
from batchai_recipes.builders.scale import AutoScale, DeallocationOption, ManualScale
from batchai_recipes.builders.setup_task import SetupTask
from batchai_recipes.builders.vm_image import VmImage
from batchai_recipes.builders.vm_size import VmPriority
from batchai_recipes.errors import ConfigurationError
from batchai_recipes.names import checked_resource_name
from batchai_recipes.staging.mounted_path import MountedPath
from batchai_recipes.staging.storage_account import StorageAccount

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import ClusterCreateParameters, NodeSetup


def _cluster_name(name: str) -> str:
    return checked_resource_name("cluster", name)


@frozen
class ClusterBuilder(MachineBuilder, MountingBuilder):
    """Describes a cluster; each method returns a new builder.

    Args:
        name: The cluster's name: 1 to 64 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigurationError: The name is not allowed.

    Example:
        >>> cluster = (
        ...     ClusterBuilder("mycluster")
        ...     .vm_size("STANDARD_NC6")
        ...     .nodes(1)
        ...     .admin_user("demo", password="not shown")
        ... )
        >>> cluster.build().scale_settings.manual.target_node_count
        1
    """

    name: str = field(converter=_cluster_name)
    priority: VmPriority | None = field(default=None, kw_only=True)
    scale: ManualScale | AutoScale = field(default=ManualScale(1), kw_only=True)
    image: VmImage | None = field(default=None, kw_only=True)
    setup: SetupTask | None = field(default=None, kw_only=True)
    insights: AppInsights | None = field(default=None, kw_only=True)
    limits: ClusterLimits = field(default=ClusterLimits(), kw_only=True)

    def nodes(
        self, count: int, *, node_deallocation_option: DeallocationOption | None = None
    ) -> Self:
        """Keep the cluster at a number of nodes (manual scale).

        Args:
            count: How many nodes, 0 or more.
            node_deallocation_option: What becomes of jobs on nodes that it gives up: ``requeue``
                (the service's default), ``terminate`` or ``waitforjobcompletion``.

        Raises:
            ConfigurationError: The count is negative or not a whole number, or the option is
                another word.
        """
        return evolve(self, scale=ManualScale.checked(count, node_deallocation_option))

    def auto_scale(self, *, minimum: int, maximum: int, initial: int = 0) -> Self:
        """Let the service choose the number of nodes by the jobs that wait and run.

        Args:
            minimum: The fewest nodes, 0 or more.
            maximum: The most nodes.
            initial: How many nodes to begin with.

        Raises:
            ConfigurationError: A count is negative or not a whole number, or lies out of order.
        """
        return evolve(self, scale=AutoScale.checked(minimum, maximum, initial))

    def low_priority(self) -> Self:
        """Use spare virtual machines, which are cheaper and may be taken away at any time."""
        return evolve(self, priority="lowpriority")

    def dedicated(self) -> Self:
        """Use virtual machines of one's own, as the service does unless it is told otherwise."""
        return evolve(self, priority="dedicated")

    def virtual_machine_image(
        self,
        *,
        publisher: str,
        offer: str,
        sku: str,
        version: str | None = None,
        custom_image_id: str | None = None,
    ) -> Self:
        """Set the operating system of the nodes.

        Args:
            publisher: The publisher of the image in Azure's marketplace.
            offer: The publisher's offer.
            sku: The offer's variant.
            version: Its version; None for the latest.
            custom_image_id: The resource id of an image of one's own, made from that one.

        Raises:
            ConfigurationError: One of the first three is empty.
        """
        image = VmImage.checked(publisher, offer, sku, version, custom_image_id)
        return evolve(self, image=image)

    def setup_task(
        self,
        command_line: str,
        *,
        std_out_err_path_prefix: str | MountedPath | None = None,
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, str | KeyVaultSecret] | None = None,
    ) -> Self:
        """Run a command on each node before it takes jobs.

        Args:
            command_line: The command for the node's shell.
            std_out_err_path_prefix: Where its output is stored; None for the first mounted share.
            environment: Its environment variables.
            secrets: Environment variables whose values the service never gives back.

        Raises:
            ConfigurationError: The command is empty or names a directory of a job, or a variable's
                name is not allowed, reserved or used twice.
        """
        task = SetupTask.checked(command_line, std_out_err_path_prefix, environment, secrets)
        return evolve(self, setup=task)

    def app_insights(self, component_id: str, *, instrumentation_key: str | KeyVaultSecret) -> Self:
        """Send the nodes' performance counters to Azure Application Insights.

        Args:
            component_id: The resource id of the Application Insights component.
            instrumentation_key: Its key, or where to read it.

        Raises:
            ConfigurationError: The id is none of a component, or the key is empty.
        """
        return evolve(self, insights=AppInsights.checked(component_id, instrumentation_key))

    def idle_timeout(self, seconds: float) -> Self:
        """Let the session that makes the cluster delete it when it has had no job for so long.

        While a process has the session, that keeps the limit, else this project's service, which
        reads it in the tags of the session's workspace. A ``cluster.json`` has no place for it.

        Args:
            seconds: How long, in seconds, above 0.

        Raises:
            ConfigurationError: It is not above 0.

        Example:
            >>> ClusterBuilder("mycluster").idle_timeout(600).limits
            ClusterLimits(idle_timeout=600, max_lifetime=None)
        """
        return evolve(self, limits=evolve(self.limits, idle_timeout=seconds))

    def max_lifetime(self, seconds: float) -> Self:
        """Let the session that makes the cluster delete it after so long, its jobs terminated.

        As with :meth:`idle_timeout`, the session keeps it, or the service.

        Args:
            seconds: How long, in seconds, above 0.

        Raises:
            ConfigurationError: It is not above 0.
        """
        return evolve(self, limits=evolve(self.limits, max_lifetime=seconds))

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        storage: StorageAccount | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> "ClusterBuilder":
        """Read a cluster from a ``cluster.json`` as ``az batchai cluster create -f`` took it.

        Mounts of ``<AZURE_BATCHAI_STORAGE_ACCOUNT>`` become mounts of the session's account.

        Args:
            path: The file.
            name: The cluster's name; None for the one in the file, else the file's own.
            storage: The account that the placeholders ``<AZURE_BATCHAI_STORAGE_ACCOUNT>`` and
                ``<AZURE_BATCHAI_STORAGE_KEY>`` stand for elsewhere: ``connection.storage``.
            variables: What other placeholders stand for, by name, such as ``ADMIN_PASSWORD`` for
                ``<ADMIN_PASSWORD>``.

        Raises:
            ConfigFileError: The file cannot be read, is no such file, or has a property that is
                unknown or wrong, or a placeholder without a value; the message says where.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = os.path.join(folder, "cluster.json")
            ...     cluster = ClusterBuilder("mycluster").vm_size("STANDARD_NC6").nodes(2)
            ...     _ = cluster.to_file(path)
            ...     ClusterBuilder.from_file(path, name="mycluster") == cluster
            True
        """
        from batchai_recipes.configfiles import read_cluster  # noqa: PLC0415 - it needs this class

        return read_cluster(path, name=name, storage=storage, variables=variables)

    def to_file(self, path: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write the cluster to a ``cluster.json``, with placeholders for its secrets.

        Args:
            path: The file; one that is there is replaced.

        Returns:
            The names of the placeholders for which :meth:`from_file` needs ``variables``.

        Raises:
            ConfigurationError: No VM size was set.
            ConfigFileError: The file cannot be written.
        """
        from batchai_recipes.configfiles import write_cluster  # noqa: PLC0415 - likewise

        return write_cluster(self, path)

    def build(
        self, storage: StorageAccount | None = None, *, admin: AdminUser | None = None
    ) -> "ClusterCreateParameters":
        """Return the parameters that azure-mgmt-batchai's ``clusters.begin_create`` takes.

        Args:
            storage: The account of the mounted shares that name none.
            admin: The admin user where the builder names none.

        Raises:
            ConfigurationError: No VM size was set, shares of the session's account are mounted
                and it is not given, or the setup task names a place that is not mounted.
        """
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        if self.size is None:
            raise ConfigurationError(
                f"Cluster {self.name!r} has no VM size: add .vm_size('STANDARD_NC6')"
            )
        user = self.admin or admin
        return models.ClusterCreateParameters(
            vm_size=self.size,
            vm_priority=self.priority,
            scale_settings=self.scale.model(),
            virtual_machine_configuration=self.image.model() if self.image else None,
            node_setup=self._node_setup(storage),
            user_account_settings=user.model() if user else None,
            subnet=models.ResourceId(id=self.subnet_id) if self.subnet_id else None,
        )

    def _node_setup(self, storage: StorageAccount | None) -> "NodeSetup | None":
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        volumes = mount_volumes(self.mounts, storage)
        if not (volumes or self.setup or self.insights):
            return None
        return models.NodeSetup(
            setup_task=self.setup.model(self.mounts) if self.setup else None,
            mount_volumes=volumes,
            performance_counters_settings=self.insights.model() if self.insights else None,
        )
