"""Properties as files of the old command line have them, and what reads them."""

import json

import pytest

from batchai_recipes import JobBuilder

SHARE = {
    "azureFileUrl": "https://<AZURE_BATCHAI_STORAGE_ACCOUNT>.file.core.windows.net/scripts",
    "relativeMountPath": "scripts",
}
JOB = {
    "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/external",
    "nodeCount": 2,
    "customToolkitSettings": {"commandLine": "true"},
}
CLUSTER = {"vmSize": "STANDARD_D1", "scaleSettings": {"manual": {"targetNodeCount": 1}}}


@pytest.fixture
def read(tmp_path):
    """Read properties as a job or a cluster."""

    def read(properties, kind=JobBuilder, **options):
        path = tmp_path / f"{kind.__name__}.json"
        path.write_text(json.dumps({"properties": properties}))
        return kind.from_file(path, **options)

    return read


def with_share(**changed):
    """Return the properties of a job that mounts one share."""
    volumes = {"azureFileShares": [{**SHARE, **changed}]}
    return {**JOB, "mountVolumes": volumes}
