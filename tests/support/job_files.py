"""Files of jobs and clusters, of the structure of the official recipes."""

SCHEMA = "https://raw.githubusercontent.com/Azure/BatchAI/master/schemas/2018-05-01/job.json"
ACCOUNT = "<AZURE_BATCHAI_STORAGE_ACCOUNT>"
EXTERNAL = "$AZ_BATCHAI_MOUNT_ROOT/external"
# A cluster that mounts one share, as `az batchai cluster create --afs-name` wrote it.
CLUSTER = {
    "properties": {
        "vmSize": "STANDARD_NC6",
        "scaleSettings": {"manual": {"targetNodeCount": 2}},
        "userAccountSettings": {"adminUserName": "DemoUser", "adminUserPassword": "DemoPa$$w0rd"},
        "nodeSetup": {
            "mountVolumes": {
                "azureFileShares": [
                    {
                        "accountName": ACCOUNT,
                        "azureFileUrl": f"https://{ACCOUNT}.file.core.windows.net/batchaisample",
                        "credentials": {"accountKey": "<AZURE_BATCHAI_STORAGE_KEY>"},
                        "relativeMountPath": "external",
                    }
                ]
            }
        },
    }
}
# What the jobs of 2018 mount by themselves.
LOGS_AND_SCRIPTS = {
    "azureFileShares": [
        {
            "azureFileUrl": f"https://{ACCOUNT}.file.core.windows.net/{share}",
            "relativeMountPath": share,
        }
        for share in ("logs", "scripts")
    ]
}
