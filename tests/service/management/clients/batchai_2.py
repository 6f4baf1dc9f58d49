"""A program of 2018: azure-mgmt-batchai 2.0 with msrestazure credentials, through every resource.

Run by an interpreter that has those packages; prints what it saw as JSON.
"""

import json
import os
import sys

from azure.mgmt.batchai import BatchAIManagementClient, models
from msrestazure.azure_active_directory import ServicePrincipalCredentials
from msrestazure.azure_cloud import Cloud, CloudEndpoints, CloudSuffixes
from msrestazure.azure_exceptions import CloudError


def _client(service):
    base = service["base"]
    cloud = Cloud(
        "local",
        endpoints=CloudEndpoints(
            management=base,
            resource_manager=base,
            active_directory=base + "/adfs",
            active_directory_resource_id="https://management.core.windows.net/",
        ),
        suffixes=CloudSuffixes(),
    )
    credentials = ServicePrincipalCredentials(
        client_id=service["client"],
        secret=service["secret"],
        tenant="adfs",
        cloud_environment=cloud,
        verify=service["ca_file"],
    )
    client = BatchAIManagementClient(credentials, service["subscription"], base_url=base)
    client.config.connection.verify = service["ca_file"]
    client.config.long_running_operation_timeout = 0
    return client


def _user():
    return models.UserAccountSettings(admin_user_name="demo", admin_user_password="pass-word")


def _gone(get, *names):
    try:
        get(*names)
    except CloudError as error:
        return error.status_code
    return None


def _workspace(client, seen, names):
    made = client.workspaces.create(*names, location="northeurope").result()
    tagged = client.workspaces.update(*names, tags={"a": "b"})
    seen["workspace"] = [
        made.provisioning_state,
        tagged.tags,
        client.workspaces.get(*names).tags,
        [one.name for one in client.workspaces.list_by_resource_group(names[0])],
        names[1] in [one.name for one in client.workspaces.list()],
    ]


def _cluster(client, seen, names):
    parameters = models.ClusterCreateParameters(
        vm_size="STANDARD_NC6",
        user_account_settings=_user(),
        scale_settings=models.ScaleSettings(manual=models.ManualScaleSettings(target_node_count=0)),
    )
    operations = client.clusters
    made = operations.create(*names, "cluster", parameters=parameters).result()
    scale = models.ScaleSettings(manual=models.ManualScaleSettings(target_node_count=1))
    updated = operations.update(*names, "cluster", scale_settings=scale)
    seen["cluster"] = [
        str(made.allocation_state),
        made.user_account_settings.admin_user_password,
        updated.scale_settings.manual.target_node_count,
        operations.get(*names, "cluster").scale_settings.manual.target_node_count,
        [one.name for one in operations.list_by_workspace(*names)],
        [one.port for one in operations.list_remote_login_information(*names, "cluster")],
    ]
    return made


def _file_server(client, seen, names):
    parameters = models.FileServerCreateParameters(
        vm_size="STANDARD_D1",
        ssh_configuration=models.SshConfiguration(user_account_settings=_user()),
        data_disks=models.DataDisks(
            disk_size_in_gb=10, disk_count=2, storage_account_type="Standard_LRS"
        ),
    )
    operations = client.file_servers
    made = operations.create(*names, "server", parameters=parameters).result()
    seen["file server"] = [
        made.data_disks.disk_count,
        operations.get(*names, "server").name,
        [one.name for one in operations.list_by_workspace(*names)],
    ]


def _job(client, seen, names, cluster):
    made = client.experiments.create(*names, "experiment").result()
    seen["experiment"] = [
        made.name,
        client.experiments.get(*names, "experiment").name,
        [one.name for one in client.experiments.list_by_workspace(*names)],
    ]
    place = (*names, "experiment")
    parameters = models.JobCreateParameters(
        cluster=models.ResourceId(id=cluster.id),
        node_count=1,
        std_out_err_path_prefix="$AZ_BATCHAI_JOB_MOUNT_ROOT/afs",
        custom_toolkit_settings=models.CustomToolkitSettings(command_line="true"),
        secrets=[models.EnvironmentVariableWithSecretValue(name="TOKEN", value="hush")],
    )
    made = client.jobs.create(*place, "job", parameters=parameters).result()
    client.jobs.terminate(*place, "job").result()
    ended = client.jobs.get(*place, "job")
    seen["job"] = [
        made.secrets[0].value,
        str(ended.execution_state),
        ended.execution_info.errors[0].code,
        [one.name for one in client.jobs.list_by_experiment(*place)],
        [one.port for one in client.jobs.list_remote_login_information(*place, "job")],
    ]


def _delete(client, seen, names):
    client.jobs.delete(*names, "experiment", "job").result()
    client.clusters.delete(*names, "cluster").result()
    client.file_servers.delete(*names, "server").result()
    client.experiments.delete(*names, "experiment").result()
    gone = [
        _gone(client.jobs.get, *names, "experiment", "job"),
        _gone(client.clusters.get, *names, "cluster"),
        _gone(client.file_servers.get, *names, "server"),
        _gone(client.experiments.get, *names, "experiment"),
    ]
    client.workspaces.delete(*names).result()
    seen["gone"] = [*gone, _gone(client.workspaces.get, *names)]


def main():
    """Use the service that the environment describes."""
    service = json.loads(os.environ["SERVICE"])
    client = _client(service)
    names = (service["group"], "workspace")
    seen = {}
    _workspace(client, seen, names)
    cluster = _cluster(client, seen, names)
    _file_server(client, seen, names)
    _job(client, seen, names, cluster)
    seen["usages"] = [one.name.value for one in client.usages.list("northeurope")][:1]
    seen["operations"] = len(list(client.operations.list())) > 0
    _delete(client, seen, names)
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
