"""Every property that a client can set in the official models is reached by a builder."""

import pickle
from datetime import timedelta

import pytest
from azure.mgmt.batchai import models
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes import (
    Caffe2JobBuilder,
    CaffeJobBuilder,
    ChainerJobBuilder,
    ClusterBuilder,
    CntkJobBuilder,
    CustomJobBuilder,
    CustomMpiJobBuilder,
    FileServerBuilder,
    HorovodJobBuilder,
    KeyVaultSecret,
    PyTorchJobBuilder,
    StorageAccount,
    TensorFlowJobBuilder,
    builders,
)

SUBSCRIPTION = "/subscriptions/s/resourceGroups/g/providers"
SECRET = KeyVaultSecret(
    f"{SUBSCRIPTION}/Microsoft.KeyVault/vaults/v", "https://v.vault.azure.net/secrets/s"
)
FILE_SERVER = f"{SUBSCRIPTION}/Microsoft.BatchAI/workspaces/w/fileServers/nfs"
STORAGE = StorageAccount("demo", "a2V5", "http://127.0.0.1:1/demo")
ROOT = "$AZ_BATCHAI_MOUNT_ROOT/share"


def mounting(builder):
    """Mount volumes of every kind."""
    return (
        builder.mount("share", at="share", file_mode="0770", directory_mode="0750")
        .mount("other", at="other", account="elsewhere", key=SECRET)
        .mount_blob_container("blobs", at="blobs", mount_options="--use-https=true")
        .mount_file_server(FILE_SERVER, at="nfs", source_directory="data", mount_options="rw")
        .mount_unmanaged_file_system("mount -t nfs server:/", at="unmanaged")
    )


CLUSTERS = (
    mounting(ClusterBuilder("plain"))
    .vm_size("STANDARD_NC6")
    .nodes(2, node_deallocation_option="terminate")
    .admin_user("demo", ssh_public_key="ssh-rsa AAAA", password="hidden")
    .low_priority()
    .virtual_machine_image(
        publisher="Canonical",
        offer="UbuntuServer",
        sku="16.04-LTS",
        version="latest",
        custom_image_id=f"{SUBSCRIPTION}/Microsoft.Compute/images/mine",
    )
    .subnet(f"{SUBSCRIPTION}/Microsoft.Network/virtualNetworks/n/subnets/default")
    .setup_task("true", environment={"A": "a"}, secrets={"B": "hidden", "C": SECRET})
    .app_insights(f"{SUBSCRIPTION}/Microsoft.Insights/components/c", instrumentation_key="hidden"),
    ClusterBuilder("scaled")
    .vm_size("STANDARD_NC6")
    .auto_scale(minimum=0, maximum=4, initial=1)
    .app_insights(f"{SUBSCRIPTION}/Microsoft.Insights/components/c", instrumentation_key=SECRET),
)


FILE_SERVERS = (
    FileServerBuilder("server")
    .vm_size("STANDARD_D1")
    .data_disks(2, size_gb=10, storage_account_type="Premium_LRS", caching_type="readonly")
    .admin_user("demo", ssh_public_key="ssh-rsa AAAA", password="hidden")
    .allow_public_ips("192.0.2.0/24")
    .subnet(f"{SUBSCRIPTION}/Microsoft.Network/virtualNetworks/n/subnets/default"),
)


def full(builder):
    """Say everything that jobs of all toolkits can say."""
    return (
        mounting(builder)
        .nodes(2)
        .priority("high")
        .input("IN", "$AZ_BATCHAI_JOB_MOUNT_ROOT/share/in")
        .output("OUT", suffix="out")
        .container("image", server_url="r.test", username="u", password="hidden", shm_size="1g")
        .environment_variable("A", "a")
        .secret("B", "hidden")
        .secret("C", SECRET)
        .job_preparation("true")
        .max_wall_clock_time(timedelta(hours=1))
    )


def script(builder):
    """Run a script with arguments."""
    return builder.script("t.py").python_interpreter("/usr/bin/python3").args("-v")


JOBS = (
    full(script(CntkJobBuilder("cntk"))).processes(2),
    CntkJobBuilder("brainscript").config_file("a.cntk").std_out_err_path_prefix(ROOT),
    script(CaffeJobBuilder("caffe")).processes(2).std_out_err_path_prefix(ROOT),
    CaffeJobBuilder("solver").config_file("a.prototxt").std_out_err_path_prefix(ROOT),
    script(Caffe2JobBuilder("caffe2")).std_out_err_path_prefix(ROOT),
    script(ChainerJobBuilder("chainer")).processes(2).std_out_err_path_prefix(ROOT),
    script(HorovodJobBuilder("horovod")).processes(2).std_out_err_path_prefix(ROOT),
    script(PyTorchJobBuilder("pytorch"))
    .processes(2)
    .communication_backend("nccl")
    .std_out_err_path_prefix(ROOT),
    CustomJobBuilder("custom").command_line("true").std_out_err_path_prefix(ROOT),
    CustomMpiJobBuilder("custommpi")
    .command_line("true")
    .processes(2)
    .container("image", username="u", password=SECRET)
    .std_out_err_path_prefix(ROOT),
    TensorFlowJobBuilder("tensorflow")
    .script("t.py")
    .python_interpreter("/usr/bin/python3")
    .master_args("a")
    .worker_args("b")
    .parameter_server_args("c")
    .workers(2)
    .parameter_servers(1)
    .std_out_err_path_prefix(ROOT),
)

BUILDERS = (*CLUSTERS, *JOBS, *FILE_SERVERS)


def declared(name, found=None):
    """Return the properties that a client can set of a model and of those that it holds."""
    found = set() if found is None else found
    model = getattr(models, name.strip("[]{}"), None)
    for attribute, described in getattr(model, "_attribute_map", {}).items():
        read_only = model._validation.get(attribute, {}).get("readonly", False)
        pair = (model.__name__, attribute)
        if not read_only and pair not in found:
            found.add(pair)
            declared(described["type"], found)
    return found


def reached(value):
    """Return the properties that are set in a model and in those that it holds."""
    if isinstance(value, list):
        return {pair for item in value for pair in reached(item)}
    if not hasattr(value, "_attribute_map"):
        return set()
    found = set()
    for attribute in value._attribute_map:
        inner = getattr(value, attribute)
        if inner not in (None, []):
            found |= {(type(value).__name__, attribute)} | reached(inner)
    return found


def built(builder):
    """Build a cluster or a job."""
    if isinstance(builder, ClusterBuilder):
        return builder.build(STORAGE)
    if isinstance(builder, FileServerBuilder):
        return builder.build()
    return builder.build(cluster_id="/clusters/c", storage=STORAGE)


def test_no_property_is_out_of_reach():
    """A new release of the package with another property is seen here."""
    wanted = set()
    for kind in ("Cluster", "FileServer", "Job"):
        wanted |= declared(f"{kind}CreateParameters")
    found = {pair for builder in BUILDERS for pair in reached(built(builder))}
    assert wanted - found == set()
    assert len(wanted) > 100


def test_every_builder_has_an_example():
    """Which the doctests run."""
    exported = [getattr(builders, name) for name in builders.__all__]
    made = [thing for thing in exported if thing.__name__.endswith("Builder")]
    assert len(made) == 12
    assert [one.__name__ for one in made if ">>> " not in (one.__doc__ or "")] == []


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: builder.name)
def test_builders_are_values(builder):
    """Equal and hashable, also after a pickle's round trip; what they hide stays hidden."""
    again = pickle.loads(pickle.dumps(builder))
    assert (again, hash(again)) == (builder, hash(builder))
    assert built(again).serialize() == built(builder).serialize()
    assert "hidden" not in repr(builder)


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: builder.name)
def test_what_is_built_survives_the_wire(builder):
    """The official models read back what they wrote."""
    wire = built(builder).serialize()
    assert type(built(builder)).deserialize(wire).serialize() == wire


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0$`"), min_size=1, max_size=20)
WORD = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)
STEPS = st.one_of(
    st.tuples(st.just("nodes"), st.integers(1, 9)),
    st.tuples(st.just("processes"), st.integers(1, 9)),
    st.tuples(st.just("priority"), st.sampled_from(["low", "normal", "high"])),
    st.tuples(st.just("script"), WORD),
    st.tuples(st.just("args"), TEXT, TEXT),
    st.tuples(st.just("job_preparation"), WORD),
    st.tuples(st.just("communication_backend"), st.sampled_from(["gloo", "nccl"])),
)


@given(st.lists(STEPS, max_size=8), st.dictionaries(WORD, TEXT, max_size=3))
def test_any_chain_of_methods_round_trips(steps, variables):
    """The same job comes of the same words, by way of pickle or of the wire."""
    job = PyTorchJobBuilder("j").script("t.py").std_out_err_path_prefix("/out")
    for name, *arguments in steps:
        job = getattr(job, name)(*arguments)
    for name, value in variables.items():
        job = job.environment_variable(f"V_{name}", value)
    assert pickle.loads(pickle.dumps(job)) == job
    wire = built(job).serialize()
    assert models.JobCreateParameters.deserialize(wire).serialize() == wire
