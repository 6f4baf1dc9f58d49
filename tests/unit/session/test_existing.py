"""Sessions in what exists already."""

import json

import pytest

from batchai_recipes import ClusterBuilder, CntkJobBuilder, ConfigurationError, TrainingSession

SHARE = {
    "accountName": "demo",
    "relativeMountPath": "data",
    "azureFileUrl": "https://files.test/demo/mine",
    "credentials": {},
}
JOB = CntkJobBuilder("j").script("train.py")


@pytest.fixture
def there(batchai, ready):
    """A service on which everything but jobs exists, with a share on the cluster."""
    ready["properties"]["nodeSetup"] = {"mountVolumes": {"azureFileShares": [SHARE]}}
    batchai.on("GET", "/resourcegroups/g", {"location": "eastus"})
    batchai.on("GET", "/clusters/c", ready)
    batchai.holds("/workspaces/w", there=True)
    batchai.holds("/experiments/e", there=True)
    return batchai


@pytest.fixture
def session(connection, clock):
    """Make a session in what exists."""

    def make(*clusters, **options):
        names = {"resource_group": "g", "workspace": "w", "experiment": "e"}
        return TrainingSession(
            *clusters,
            connection=connection,
            pacing=clock.pacing(),
            use_existing=True,
            **names,
            **options,
        )

    return make


def test_only_the_sessions_jobs_are_made_and_deleted(there, session):
    """The cluster needs no more than its name; its share is where the job's output goes."""
    said = []
    with session(ClusterBuilder("c"), report=said.append) as running:
        running.submit(JOB)
    (job,) = [json.loads(r.body) for r in there.requests if r.method == "PUT"]

    assert (there.made("PUT"), there.made("DELETE")) == (["j"], ["j"])
    assert job["properties"]["stdOutErrPathPrefix"] == "$AZ_BATCHAI_MOUNT_ROOT/data"
    assert said[:2] == ["Using resource group g", "Using workspace w"]


def test_what_is_missing_is_made_and_deleted(there, session, ready):
    """A cluster of its own in a workspace that exists."""
    there.on("GET", "/clusters/new", 404, ready)
    with session(ClusterBuilder("new").vm_size("STANDARD_NC6")):
        pass

    assert (there.made("PUT"), there.made("DELETE")) == (["new"], ["new"])


def test_a_missing_mount_of_an_existing_cluster_is_named(there, session):
    """Before a job would fail for it."""
    cluster = ClusterBuilder("c").mount("mine", at="elsewhere")

    with pytest.raises(ConfigurationError, match="mounts 'data' and not 'elsewhere'"):
        session(cluster).__enter__()
    assert there.made("DELETE") == []


def test_a_job_that_exists_is_never_used(there, session):
    """Its outputs would be somebody else's."""
    there.on("GET", "/jobs/j", {})
    with session(ClusterBuilder("c")) as running, pytest.raises(Exception, match="another name"):
        running.submit(JOB)
    assert there.made("DELETE") == []
