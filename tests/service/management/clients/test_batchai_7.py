"""azure-mgmt-batchai 7.0 as synchronous programs use it."""

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.batchai import BatchAI, models


def _names(pages) -> list:
    return [one.name for one in pages]


def _scale(nodes: int) -> models.ScaleSettings:
    return models.ScaleSettings(manual=models.ManualScaleSettings(target_node_count=nodes))


def _user() -> models.UserAccountSettings:
    return models.UserAccountSettings(admin_user_name="demo", admin_user_password="pass-word")


def _workspace(client: BatchAI, names: tuple) -> None:
    workspaces = client.workspaces
    parameters = models.WorkspaceCreateParameters(location="northeurope")
    made = workspaces.begin_create(*names, parameters).result()
    assert made.provisioning_state == "succeeded"
    tagged = workspaces.update(*names, models.WorkspaceUpdateParameters(tags={"a": "b"}))
    assert tagged.tags == {"a": "b"}
    assert workspaces.get(*names).tags == {"a": "b"}
    assert _names(workspaces.list_by_resource_group(names[0])) == ["workspace"]
    assert "workspace" in _names(workspaces.list())


def _cluster(client: BatchAI, names: tuple, plane) -> models.Cluster:
    share = models.AzureFileShareReference(
        account_name=plane.account,
        azure_file_url=f"{plane.files_base}/{plane.account}/share",
        credentials=models.AzureStorageCredentialsInfo(account_key=plane.account_key),
        relative_mount_path="afs",
    )
    parameters = models.ClusterCreateParameters(
        vm_size="STANDARD_NC6",
        user_account_settings=_user(),
        scale_settings=_scale(0),
        node_setup=models.NodeSetup(mount_volumes=models.MountVolumes(azure_file_shares=[share])),
    )
    clusters = client.clusters
    made = clusters.begin_create(*names, "cluster", parameters).result()
    assert made.user_account_settings.admin_user_password is None
    updated = clusters.update(
        *names, "cluster", models.ClusterUpdateParameters(scale_settings=_scale(1))
    )
    assert updated.scale_settings.manual.target_node_count == 1
    assert clusters.get(*names, "cluster").id == made.id
    assert _names(clusters.list_by_workspace(*names)) == ["cluster"]
    logins = clusters.list_remote_login_information(*names, "cluster")
    assert [login.port for login in logins] == [22]
    return made


def _file_server(client: BatchAI, names: tuple) -> None:
    parameters = models.FileServerCreateParameters(
        vm_size="STANDARD_D1",
        ssh_configuration=models.SshConfiguration(user_account_settings=_user()),
        data_disks=models.DataDisks(
            disk_size_in_gb=10, disk_count=2, storage_account_type="Standard_LRS"
        ),
    )
    made = client.file_servers.begin_create(*names, "server", parameters).result()
    assert made.data_disks.disk_count == 2
    # Release 7.0 has neither get nor delete of file servers.
    assert _names(client.file_servers.list_by_workspace(*names)) == ["server"]


def _experiment(client: BatchAI, names: tuple) -> None:
    made = client.experiments.begin_create(*names, "experiment").result()
    assert client.experiments.get(*names, "experiment").id == made.id
    assert _names(client.experiments.list_by_workspace(*names)) == ["experiment"]


def _job(client: BatchAI, place: tuple, cluster: models.Cluster) -> None:
    parameters = models.JobCreateParameters(
        cluster=models.ResourceId(id=cluster.id),
        node_count=1,
        std_out_err_path_prefix="$AZ_BATCHAI_MOUNT_ROOT/afs",
        custom_toolkit_settings=models.CustomToolkitSettings(command_line="true"),
    )
    jobs = client.jobs
    made = jobs.begin_create(*place, "job", parameters).result()
    assert made.tool_type == "custom"
    options = models.JobsListOutputFilesOptions(outputdirectoryid="stdouterr")
    assert list(jobs.list_output_files(*place, "job", options)) == []
    assert list(jobs.list_remote_login_information(*place, "job")) == []
    jobs.begin_terminate(*place, "job").result()
    assert jobs.get(*place, "job").execution_info.errors[0].code == "JobTerminated"
    assert _names(jobs.list_by_experiment(*place)) == ["job"]


def test_the_synchronous_client_goes_through_every_resource(batchai: BatchAI, plane, group) -> None:
    """Create, get, list, update and delete of each resource."""
    names = (group.rpartition("/")[2], "workspace")
    _workspace(batchai, names)
    cluster = _cluster(batchai, names, plane)
    _file_server(batchai, names)
    _experiment(batchai, names)
    _job(batchai, (*names, "experiment"), cluster)
    assert next(iter(batchai.usages.list("northeurope"))).name.value == "Clusters"
    assert "Microsoft.BatchAI/workspaces/read" in _names(batchai.operations.list())

    batchai.jobs.begin_delete(*names, "experiment", "job").result()
    batchai.clusters.begin_delete(*names, "cluster").result()
    batchai.experiments.begin_delete(*names, "experiment").result()
    for get in (
        lambda: batchai.jobs.get(*names, "experiment", "job"),
        lambda: batchai.clusters.get(*names, "cluster"),
        lambda: batchai.experiments.get(*names, "experiment"),
    ):
        with pytest.raises(ResourceNotFoundError):
            get()
    batchai.workspaces.begin_delete(*names).result()
    with pytest.raises(ResourceNotFoundError):
        batchai.workspaces.get(*names)
