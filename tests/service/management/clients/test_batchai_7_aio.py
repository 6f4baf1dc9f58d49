"""azure-mgmt-batchai 7.0 as asynchronous programs use it."""

import asyncio

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.core.pipeline.transport import AsyncioRequestsTransport
from azure.identity.aio import ClientSecretCredential
from azure.mgmt.batchai.aio import BatchAI

from azure.mgmt.batchai import models  # isort: skip


def _cluster_parameters() -> models.ClusterCreateParameters:
    return models.ClusterCreateParameters(
        vm_size="STANDARD_NC6",
        user_account_settings=models.UserAccountSettings(
            admin_user_name="demo", admin_user_password="pass-word"
        ),
        scale_settings=_scale(0),
    )


def _scale(nodes: int) -> models.ScaleSettings:
    return models.ScaleSettings(manual=models.ManualScaleSettings(target_node_count=nodes))


async def _names(pages) -> list:
    return [one.name async for one in pages]


async def _made(begun) -> object:
    return await (await begun).result()


async def _workspace(client: BatchAI, names: tuple) -> None:
    workspaces = client.workspaces
    parameters = models.WorkspaceCreateParameters(location="northeurope")
    made = await _made(workspaces.begin_create(*names, parameters))
    assert made.provisioning_state == "succeeded"
    tagged = await workspaces.update(*names, models.WorkspaceUpdateParameters(tags={"a": "b"}))
    assert tagged.tags == {"a": "b"}
    assert (await workspaces.get(*names)).tags == {"a": "b"}
    assert await _names(workspaces.list_by_resource_group(names[0])) == ["workspace"]
    assert "workspace" in await _names(workspaces.list())


async def _cluster(client: BatchAI, names: tuple) -> models.Cluster:
    clusters = client.clusters
    made = await _made(clusters.begin_create(*names, "cluster", _cluster_parameters()))
    parameters = models.ClusterUpdateParameters(scale_settings=_scale(1))
    updated = await clusters.update(*names, "cluster", parameters)
    assert updated.scale_settings.manual.target_node_count == 1
    assert (await clusters.get(*names, "cluster")).id == made.id
    assert await _names(clusters.list_by_workspace(*names)) == ["cluster"]
    logins = clusters.list_remote_login_information(*names, "cluster")
    assert [login.port async for login in logins] == [22]
    return made


async def _file_server(client: BatchAI, names: tuple) -> None:
    parameters = models.FileServerCreateParameters(
        vm_size="STANDARD_D1",
        ssh_configuration=models.SshConfiguration(
            user_account_settings=models.UserAccountSettings(admin_user_name="demo")
        ),
        data_disks=models.DataDisks(
            disk_size_in_gb=10, disk_count=2, storage_account_type="Standard_LRS"
        ),
    )
    made = await _made(client.file_servers.begin_create(*names, "server", parameters))
    assert made.data_disks.disk_count == 2
    # Release 7.0 has neither get nor delete of file servers.
    assert await _names(client.file_servers.list_by_workspace(*names)) == ["server"]


async def _job(client: BatchAI, names: tuple, cluster: models.Cluster) -> None:
    experiment = await _made(client.experiments.begin_create(*names, "experiment"))
    assert (await client.experiments.get(*names, "experiment")).id == experiment.id
    assert await _names(client.experiments.list_by_workspace(*names)) == ["experiment"]
    place = (*names, "experiment")
    parameters = models.JobCreateParameters(
        cluster=models.ResourceId(id=cluster.id),
        node_count=1,
        std_out_err_path_prefix="$AZ_BATCHAI_JOB_MOUNT_ROOT/afs",
        custom_toolkit_settings=models.CustomToolkitSettings(command_line="true"),
    )
    made = await _made(client.jobs.begin_create(*place, "job", parameters))
    assert made.tool_type == "custom"
    await _made(client.jobs.begin_terminate(*place, "job"))
    ended = await client.jobs.get(*place, "job")
    assert ended.execution_info.errors[0].code == "JobTerminated"
    assert await _names(client.jobs.list_by_experiment(*place)) == ["job"]


async def _delete(client: BatchAI, names: tuple) -> None:
    await _made(client.jobs.begin_delete(*names, "experiment", "job"))
    await _made(client.clusters.begin_delete(*names, "cluster"))
    await _made(client.experiments.begin_delete(*names, "experiment"))
    with pytest.raises(ResourceNotFoundError):
        await client.clusters.get(*names, "cluster")
    await _made(client.workspaces.begin_delete(*names))
    with pytest.raises(ResourceNotFoundError):
        await client.workspaces.get(*names)


def test_the_asynchronous_client_goes_through_every_resource(plane, group) -> None:
    """Create, get, list, update and delete of each resource."""

    def transport() -> AsyncioRequestsTransport:
        # Not aiohttp's, which would be another dependency; the clients are the same.
        return AsyncioRequestsTransport(connection_verify=plane.ca_file, use_env_settings=False)

    async def use() -> None:
        names = (group.rpartition("/")[2], "workspace")
        async with (
            ClientSecretCredential(
                plane.tenant,
                plane.client,
                plane.secret,
                authority=plane.base,
                disable_instance_discovery=True,
                transport=transport(),
            ) as credential,
            BatchAI(
                credential,
                plane.subscription,
                base_url=plane.base,
                polling_interval=0.05,
                transport=transport(),
            ) as client,
        ):
            await _workspace(client, names)
            cluster = await _cluster(client, names)
            await _file_server(client, names)
            await _job(client, names, cluster)
            usages = [one.name.value async for one in client.usages.list("northeurope")]
            assert usages[0] == "Clusters"
            assert "Microsoft.BatchAI/workspaces/read" in await _names(client.operations.list())
            await _delete(client, names)

    asyncio.run(use())
