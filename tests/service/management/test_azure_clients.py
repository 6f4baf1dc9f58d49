"""Azure's own clients, unchanged, against the management plane."""

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.mgmt.batchai import BatchAI, models
from azure.mgmt.resource.resources import ResourceManagementClient


def _cluster_parameters(plane) -> models.ClusterCreateParameters:
    return models.ClusterCreateParameters(
        vm_size="STANDARD_NC6",
        user_account_settings=models.UserAccountSettings(
            admin_user_name="demo", admin_user_password="pass-word"
        ),
        scale_settings=models.ScaleSettings(manual=models.ManualScaleSettings(target_node_count=2)),
        node_setup=models.NodeSetup(
            mount_volumes=models.MountVolumes(
                azure_file_shares=[
                    models.AzureFileShareReference(
                        account_name=plane.account,
                        azure_file_url=f"{plane.files_base}/{plane.account}/share",
                        credentials=models.AzureStorageCredentialsInfo(
                            account_key=plane.account_key
                        ),
                        relative_mount_path="afs",
                    )
                ]
            )
        ),
    )


def test_the_whole_life_of_a_job(
    plane, batchai: BatchAI, resource_client: ResourceManagementClient
) -> None:
    """Everything that a quickstart does works through the official clients."""
    groups = resource_client.resource_groups
    assert groups.check_existence("life") is False
    assert groups.create_or_update("life", {"location": "northeurope"}).name == "life"
    assert groups.check_existence("life") is True
    names = ("life", "workspace")
    workspace = batchai.workspaces.begin_create(
        *names, models.WorkspaceCreateParameters(location="northeurope")
    ).result()
    assert workspace.provisioning_state == "succeeded"
    experiment = batchai.experiments.begin_create(*names, "experiment").result()
    assert experiment.name == "experiment"

    cluster = batchai.clusters.begin_create(*names, "cluster", _cluster_parameters(plane)).result()
    assert cluster.allocation_state == "steady"
    assert cluster.node_state_counts.idle_node_count == 2
    assert cluster.user_account_settings.admin_user_password is None

    job = batchai.jobs.begin_create(
        *names,
        "experiment",
        "job",
        models.JobCreateParameters(
            cluster=models.ResourceId(id=cluster.id),
            node_count=1,
            std_out_err_path_prefix="$AZ_BATCHAI_JOB_MOUNT_ROOT/afs",
            cntk_settings=models.CNTKsettings(python_script_file_path="train.py"),
            secrets=[models.EnvironmentVariableWithSecretValue(name="TOKEN", value="hush")],
        ),
    ).result()
    assert job.execution_state == "queued"
    assert job.tool_type == "cntk"
    assert job.constraints.max_wall_clock_time.days == 7
    assert [secret.value for secret in job.secrets] == [None]
    assert [one.name for one in batchai.jobs.list_by_experiment(*names, "experiment")] == ["job"]

    batchai.jobs.begin_terminate(*names, "experiment", "job").result()
    ended = batchai.jobs.get(*names, "experiment", "job")
    assert ended.execution_info.errors[0].code == "JobTerminated"
    batchai.jobs.begin_delete(*names, "experiment", "job").result()
    assert list(batchai.jobs.list_by_experiment(*names, "experiment")) == []
    groups.begin_delete("life").result()
    assert groups.check_existence("life") is False


def test_absent_things_raise_not_found(batchai: BatchAI, group: str) -> None:
    """The clients see 404 as the exception that their users catch."""
    name = group.rpartition("/")[2]
    with pytest.raises(ResourceNotFoundError) as caught:
        batchai.workspaces.get(name, "nowhere")
    assert caught.value.error.code == "WorkspaceNotFound"


def test_a_scaled_cluster_shows_its_old_allocation_state(batchai: BatchAI, cluster: str) -> None:
    """PATCH answers with the state before; a GET afterwards shows the new size."""
    names = cluster.split("/")[2::2]
    group, workspace, name = names[0], names[2], names[3]
    scale = models.ScaleSettings(manual=models.ManualScaleSettings(target_node_count=3))
    parameters = models.ClusterUpdateParameters(scale_settings=scale)
    answered = batchai.clusters.update(group, workspace, name, parameters)
    assert answered.allocation_state == "steady"
    assert answered.scale_settings.manual.target_node_count == 3
    assert batchai.clusters.get(group, workspace, name).current_node_count == 3


def test_a_cluster_with_other_properties_is_a_conflict(
    plane, batchai: BatchAI, cluster: str
) -> None:
    """The clients see 409 as the exception that their users catch."""
    names = cluster.split("/")[2::2]
    with pytest.raises(ResourceExistsError) as caught:
        batchai.clusters.begin_create(names[0], names[2], names[3], _cluster_parameters(plane))
    assert caught.value.error.code == "ClusterAlreadyExists"
