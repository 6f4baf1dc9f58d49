"""Sessions in what exists already."""

import json
from datetime import timedelta

import pytest
import requests

from batchai_recipes import ClusterBuilder, CntkJobBuilder, ConfigurationError, TrainingSession
from batchai_recipes.session.joint_use import label_of

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


def test_a_share_that_the_cluster_mounts_stays_as_long_as_the_session(there, session):
    """It is used before the cluster, so that who made both cannot delete it in between."""
    there.holds("/demo/mine")
    maker = {"x-ms-meta-batchai_recipes_session": "other"}
    requests.put("https://files.test/demo/mine?restype=share", headers=maker, timeout=1)
    workspace = "/resourceGroups/g/providers/Microsoft.BatchAI/workspaces/w"
    address = f"https://batchai.test/subscriptions/{'2' * 8}-2222-2222-2222-{'2' * 12}{workspace}"
    entry = {"batchai_recipes_user_other": "other kept"}
    used = entry | {f"batchai_recipes_cluster.c.{name}": text for name, text in entry.items()}
    requests.patch(address, json={"tags": used}, timeout=1)
    with session(ClusterBuilder("c")) as running:
        share = requests.get("https://files.test/demo/mine?restype=share", timeout=1).headers
        running.detach(timedelta(hours=1))
    tags = requests.get(address, timeout=1).json()["tags"]
    own = label_of(running.id)
    written = [f"{request.headers} {request.body}" for request in there.requests]
    labelled = next(n for n, text in enumerate(written) if f"x-ms-meta-{own}" in text)
    joined = next(n for n, text in enumerate(written) if f"batchai_recipes_cluster.c.{own}" in text)

    assert share[f"x-ms-meta-{own}"].startswith(f"{running.id} ")
    assert labelled < joined
    # Whoever takes the session up, or ends it, knows of the share.
    assert tags["batchai-recipes-share"] == "demo/mine"


def test_what_is_missing_is_made_and_deleted(there, session, ready):
    """A cluster of its own in a workspace that exists."""
    there.on("GET", "/clusters/new", 404, 404, ready)
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
