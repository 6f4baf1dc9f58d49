"""``cluster.json``: a cluster as a file."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

from attrs import evolve

from batchai_recipes.builders.cluster import ClusterBuilder
from batchai_recipes.builders.scale import DeallocationOption
from batchai_recipes.configfiles.admin_account import admin_account
from batchai_recipes.configfiles.document import read_document, write_document
from batchai_recipes.configfiles.hiding import Hiding, names_needed
from batchai_recipes.configfiles.placeholders import ACCOUNT, KEY, written
from batchai_recipes.configfiles.section import Section
from batchai_recipes.configfiles.variables import named_secrets, named_variables
from batchai_recipes.configfiles.volumes import with_volumes
from batchai_recipes.staging.storage_account import StorageAccount

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import (
        ClusterCreateParameters,
        FileServerCreateParameters,
        JobCreateParameters,
    )

PLACEHOLDER_STORAGE: Final = StorageAccount(
    written(ACCOUNT), written(KEY), f"https://{written(ACCOUNT)}.file.core.windows.net"
)
"""The session's account as it stands in files."""

_USUAL_OPTION: Final = "requeue"


def read_cluster(
    path: str | os.PathLike[str],
    *,
    name: str | None,
    storage: StorageAccount | None,
    variables: Mapping[str, str] | None,
) -> ClusterBuilder:
    """Read a cluster from a file; see :meth:`ClusterBuilder.from_file`."""
    own_name, file = read_document(path, "ClusterCreateParameters", storage, variables)
    with file.at():
        cluster = ClusterBuilder(name or own_name)
    cluster = _with_machines(cluster, file)
    cluster = _with_scale(cluster, file.section("scaleSettings"))
    setup = file.section("nodeSetup")
    if setup is None:
        return cluster
    cluster = with_volumes(cluster, setup.section("mountVolumes"))
    cluster = _with_setup_task(cluster, setup.section("setupTask"))
    return _with_insights(cluster, setup.section("performanceCountersSettings"))


def write_cluster(cluster: ClusterBuilder, path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Write a cluster to a file; see :meth:`ClusterBuilder.to_file`."""
    return write_hidden(path, "cluster", cluster.build(PLACEHOLDER_STORAGE))


def write_hidden(
    path: str | os.PathLike[str],
    kind: str,
    model: "ClusterCreateParameters | JobCreateParameters | FileServerCreateParameters",
) -> tuple[str, ...]:
    """Write a model with placeholders for its secrets.

    Args:
        path: The file.
        kind: ``cluster``, ``job`` or ``file_server``.
        model: The model.

    Returns:
        The placeholders that reading it needs values for.
    """
    wire = cast("dict[str, dict[str, object]]", model.serialize())  # type: ignore[no-untyped-call]
    properties = Hiding().hidden(wire["properties"])
    properties.pop("cluster", None)  # where it runs is not the file's to say
    write_document(path, kind, properties)
    return names_needed(properties)


def _with_machines(cluster: ClusterBuilder, file: Section) -> ClusterBuilder:
    size, priority = file.text("vmSize"), file.text("vmPriority")
    if size is not None:
        with file.at("vmSize"):
            cluster = cluster.vm_size(size)
    if priority is not None:
        if priority.lower() not in {"dedicated", "lowpriority"}:
            problem = f"{priority!r} is no priority: use 'dedicated' or 'lowpriority'"
            raise file.error("vmPriority", problem)
        is_low = priority.lower() == "lowpriority"
        cluster = cluster.low_priority() if is_low else cluster.dedicated()
    # Without an account it is the connection's user.
    cluster = evolve(cluster, admin=admin_account(file.section("userAccountSettings")))
    subnet = file.section("subnet")
    if subnet:
        with subnet.at("id"):
            cluster = cluster.subnet(subnet.required("id"))
    machine = file.section("virtualMachineConfiguration")
    image = machine.section("imageReference") if machine else None
    if image:
        with image.at():
            cluster = cluster.virtual_machine_image(
                publisher=image.required("publisher"),
                offer=image.required("offer"),
                sku=image.required("sku"),
                version=image.text("version"),
                custom_image_id=image.text("virtualMachineImageId"),
            )
    return cluster


def _with_scale(cluster: ClusterBuilder, scale: Section | None) -> ClusterBuilder:
    if scale is None:
        return cluster
    manual, automatic = scale.section("manual"), scale.section("autoScale")
    if (manual is None) == (automatic is None):
        raise scale.error("", "either 'manual' or 'autoScale' is needed, and not both")
    if manual:
        option = manual.text("nodeDeallocationOption")
        option = option.lower() if option else None
        with manual.at():
            return cluster.nodes(
                cast("int", manual.count("targetNodeCount")),
                node_deallocation_option=None
                if option == _USUAL_OPTION
                else cast("DeallocationOption | None", option),
            )
    automatic = cast("Section", automatic)
    with automatic.at():
        return cluster.auto_scale(
            minimum=cast("int", automatic.count("minimumNodeCount")),
            maximum=cast("int", automatic.count("maximumNodeCount")),
            initial=automatic.count("initialNodeCount") or 0,
        )


def _with_setup_task(cluster: ClusterBuilder, task: Section | None) -> ClusterBuilder:
    if task is None:
        return cluster
    with task.at():
        return cluster.setup_task(
            task.required("commandLine"),
            std_out_err_path_prefix=task.text("stdOutErrPathPrefix"),
            environment=named_variables(task, "environmentVariables"),
            secrets=named_secrets(task, "secrets"),
        )


def _with_insights(cluster: ClusterBuilder, counters: Section | None) -> ClusterBuilder:
    insights = counters.section("appInsightsReference") if counters else None
    component = insights.section("component") if insights else None
    if insights is None or component is None:
        return cluster
    key = insights.secret("instrumentationKey", "instrumentationKeySecretReference")
    with insights.at():
        return cluster.app_insights(component.required("id"), instrumentation_key=key or "")
