"""What builders write, they read back; secrets are written by nobody."""

import json
import re
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
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
    JobBuilder,
    KeyVaultSecret,
    PyTorchJobBuilder,
    StorageAccount,
    TensorFlowJobBuilder,
)
from batchai_recipes.builders.mount import BlobContainerMount

STORAGE = StorageAccount("demo", "a2V5", "http://127.0.0.1:1/demo")
PROVIDERS = "/subscriptions/s/resourceGroups/g/providers"
# What no builder writes: a text that reads as a placeholder needs a value when it is read.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
LINE = TEXT.filter(str.strip)
NAME = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
ID = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
VARIABLE = ID.filter(lambda name: not name.upper().startswith("AZ_BATCH"))
PLACE = st.lists(st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True), min_size=1, max_size=2).map(
    "/".join
)
VAULT_SECRET = st.builds(
    lambda name: KeyVaultSecret(
        f"{PROVIDERS}/Microsoft.KeyVault/vaults/v", f"https://v.vault.azure.net/secrets/{name}"
    ),
    ID,
)
# Recognised in what was written: no builder writes these letters by itself.
CLEAR = st.from_regex(r"S3CR3T[a-z]{6}", fullmatch=True)
SECRET = CLEAR | VAULT_SECRET
ACCOUNT = st.fixed_dictionaries(
    {"account": st.from_regex(r"[a-z0-9]{3,8}", fullmatch=True), "key": SECRET}
)
OWNER = st.just({}) | ACCOUNT
COUNT = st.integers(1, 9)
OPTIONS = st.none() | LINE


def call(name, *arguments, **options):
    """Return a strategy of calls of a builder's method."""
    return st.tuples(st.just(name), st.tuples(*arguments), st.fixed_dictionaries(options))


@st.composite
def shares(draw):
    """Mounts of file shares, also of other accounts and under URLs of their own."""
    owner = draw(OWNER)
    options = {"at": draw(PLACE), **owner}
    if owner:
        options["url"] = draw(st.none() | st.just("https://files.test/elsewhere/share"))
    for mode in ("file_mode", "directory_mode"):
        options[mode] = draw(st.none() | st.sampled_from(["0777", "0750", "644"]))
    share = "share" if options.get("url") else draw(st.sampled_from(["share", "other-share"]))
    return ("mount", (share,), options)


@st.composite
def containers(draw):
    """Mounts of blob containers."""
    options = {"at": draw(PLACE), "mount_options": draw(OPTIONS), **draw(OWNER)}
    return ("mount_blob_container", ("container",), options)


MOUNTS = st.one_of(
    shares(),
    containers(),
    call(
        "mount_file_server",
        st.just(f"{PROVIDERS}/Microsoft.BatchAI/workspaces/w/fileServers/nfs"),
        at=PLACE,
        source_directory=OPTIONS,
        mount_options=OPTIONS,
    ),
    call("mount_unmanaged_file_system", LINE, at=PLACE),
)
ADMIN_USER = call(
    "admin_user", LINE, ssh_public_key=st.just("ssh-rsa AAAA"), password=st.none() | CLEAR
)
SUBNET = call("subnet", st.just(f"{PROVIDERS}/Microsoft.Network/virtualNetworks/n/subnets/default"))
CLUSTER_CALLS = st.one_of(
    MOUNTS,
    call("vm_size", st.sampled_from(["STANDARD_NC6", "standard_d1"])),
    call("low_priority"),
    call("dedicated"),
    call(
        "nodes",
        st.integers(0, 9),
        node_deallocation_option=st.sampled_from(
            [None, "requeue", "terminate", "waitforjobcompletion"]
        ),
    ),
    call(
        "auto_scale",
        minimum=st.integers(0, 3),
        maximum=st.integers(3, 9),
        initial=st.integers(0, 3),
    ),
    ADMIN_USER,
    call(
        "virtual_machine_image",
        publisher=LINE,
        offer=LINE,
        sku=LINE,
        version=OPTIONS,
        custom_image_id=st.sampled_from([None, f"{PROVIDERS}/Microsoft.Compute/images/mine"]),
    ),
    SUBNET,
    call(
        "setup_task",
        LINE,
        std_out_err_path_prefix=st.just("/var/log"),
        environment=st.dictionaries(VARIABLE.map("E_{}".format), TEXT, max_size=2),
        secrets=st.dictionaries(VARIABLE.map("S_{}".format), SECRET, max_size=2),
    ),
    call(
        "app_insights",
        st.just(f"{PROVIDERS}/Microsoft.Insights/components/c"),
        instrumentation_key=SECRET,
    ),
)
JOB_CALLS = st.one_of(
    MOUNTS,
    call("nodes", COUNT),
    call("priority", st.sampled_from(["low", "normal", "high"])),
    call("input", ID, TEXT),
    call("output", ID, suffix=st.none() | PLACE, prefix=st.just("$AZ_BATCHAI_MOUNT_ROOT/share")),
    call("container", LINE, server_url=OPTIONS, shm_size=st.sampled_from([None, "64m", "2g"])),
    call("container", LINE, username=LINE, password=SECRET),
    call("environment_variable", VARIABLE, TEXT),
    call("secret", VARIABLE, SECRET),
    call("job_preparation", LINE),
    call("max_wall_clock_time", st.timedeltas(timedelta(seconds=1), timedelta(days=9))),
)
SCRIPT = st.tuples(call("script", LINE))
INTERPRETED = st.tuples(call("script", LINE), call("python_interpreter", LINE))
ARGUMENTS = call("args", TEXT, TEXT) | call("command_line_args", TEXT)
PROCESSES = call("processes", COUNT)
CONFIGURED = st.tuples(call("config_file", LINE))
COMMAND = st.tuples(call("command_line", LINE))
# Of each toolkit, what it must be told, and what it may be told.
TOOLKITS = {
    CntkJobBuilder: (INTERPRETED | SCRIPT | CONFIGURED, ARGUMENTS | PROCESSES),
    CaffeJobBuilder: (INTERPRETED | SCRIPT | CONFIGURED, ARGUMENTS | PROCESSES),
    Caffe2JobBuilder: (INTERPRETED | SCRIPT, ARGUMENTS),
    ChainerJobBuilder: (INTERPRETED | SCRIPT, ARGUMENTS | PROCESSES),
    HorovodJobBuilder: (INTERPRETED | SCRIPT, ARGUMENTS | PROCESSES),
    PyTorchJobBuilder: (
        INTERPRETED | SCRIPT,
        ARGUMENTS
        | PROCESSES
        | call("communication_backend", st.sampled_from(["gloo", "nccl", "mpi", "tcp"])),
    ),
    TensorFlowJobBuilder: (
        INTERPRETED | SCRIPT,
        st.one_of(
            call("workers", COUNT),
            call("parameter_servers", COUNT),
            *(
                call(f"{who}_args", TEXT) | call(f"{who}_command_line_args", TEXT)
                for who in ("master", "worker", "parameter_server")
            ),
        ),
    ),
    CustomJobBuilder: (COMMAND, st.nothing()),
    CustomMpiJobBuilder: (COMMAND, PROCESSES),
}


def told(builder, calls):
    """Return a builder after calls; those that it refuses, such as a place twice, are left out."""
    for name, arguments, options in calls:
        with suppress(ValueError):
            builder = getattr(builder, name)(*arguments, **options)
    return builder


@st.composite
def clusters(draw):
    """Clusters of any chain of methods."""
    cluster = ClusterBuilder(draw(NAME)).vm_size("STANDARD_D1")
    return told(cluster, draw(st.lists(CLUSTER_CALLS, max_size=8)))


@st.composite
def jobs(draw):
    """Jobs of any toolkit and any chain of methods."""
    toolkit = draw(st.sampled_from(list(TOOLKITS)))
    needed, possible = TOOLKITS[toolkit]
    job = toolkit(draw(NAME)).std_out_err_path_prefix("$AZ_BATCHAI_JOB_MOUNT_ROOT")
    job = told(job, draw(needed))
    return told(job, draw(st.lists(JOB_CALLS | possible, max_size=8)))


FILE_SERVER_CALLS = st.one_of(
    call("vm_size", st.sampled_from(["STANDARD_NC6", "standard_d1"])),
    call(
        "data_disks",
        COUNT,
        size_gb=COUNT,
        storage_account_type=st.sampled_from(["Standard_LRS", "Premium_LRS"]),
        caching_type=st.sampled_from([None, "none", "readonly", "readwrite"]),
    ),
    ADMIN_USER,
    call("allow_public_ips", LINE, LINE),
    SUBNET,
)


@st.composite
def file_servers(draw):
    """File servers of any chain of methods."""
    server = FileServerBuilder(draw(NAME)).vm_size("STANDARD_D1").data_disks(1, size_gb=1)
    server = server.admin_user("demo", ssh_public_key="ssh-rsa AAAA")
    return told(server, draw(st.lists(FILE_SERVER_CALLS, max_size=5)))


def secrets_of(builder):
    """Return the placeholders of a builder's secrets with their values."""
    found = {}
    # Numbers follow the document, where file shares stand before blob containers.
    mounts = getattr(builder, "mounts", ())
    for mount in sorted(mounts, key=lambda mount: isinstance(mount, BlobContainerMount)):
        account = getattr(mount, "account", None)
        if account:
            found.setdefault(f"STORAGE_KEY_{account.name.upper()}", []).append(account.key)
    image = getattr(builder, "image", None)
    found["REGISTRY_PASSWORD"] = [getattr(image, "password", None)]
    found["ADMIN_USER_PASSWORD"] = [getattr(getattr(builder, "admin", None), "password", None)]
    insights = getattr(builder, "insights", None)
    found["INSTRUMENTATION_KEY"] = [getattr(insights, "instrumentation_key", None)]
    setup = getattr(builder, "setup", None)
    hidden = [*getattr(builder, "secrets", ()), *(setup.secrets if setup else ())]
    for name, value in hidden:
        found.setdefault(f"SECRET_{name.upper()}", []).append(value)
    return found


def values_for(builder, names):
    """Return values for placeholders: secrets, or the placeholder where it is a user's own text."""
    values = {name: f"<{name}>" for name in names}
    for name, secrets in secrets_of(builder).items():
        clear = list(dict.fromkeys(value for value in secrets if isinstance(value, str)))
        for index, value in enumerate(clear):
            values[f"{name}_{index + 1}" if index else name] = value
    return values


def built(builder):
    """Return what is sent over the wire."""
    if isinstance(builder, ClusterBuilder):
        return builder.build(STORAGE).serialize()
    if isinstance(builder, FileServerBuilder):
        return builder.build().serialize()
    return builder.build(cluster_id="/clusters/c", storage=STORAGE).serialize()


def is_buildable(builder):
    """Tell whether a job names no directory that it lacks, as a random text may."""
    try:
        built(builder)
    except ValueError:
        return False
    return True


def check(builder):
    """Write, read and compare; nothing secret is in the file."""
    kind = JobBuilder if isinstance(builder, JobBuilder) else type(builder)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file.json")
        names = builder.to_file(path)
        text = path.read_text()
        variables = values_for(builder, names)
        assert "S3CR3T" not in text
        assert set(names) <= set(variables)
        again = kind.from_file(path, name=builder.name, variables=variables)
        assert type(again) is type(builder)
        assert built(again) == built(builder)
        assert again.to_file(path) == names
        assert path.read_text() == text
        assert kind.from_file(path, name=builder.name, variables=variables) == again


@settings(max_examples=150)
@given(clusters())
def test_clusters_survive_a_file(cluster):
    """The same model comes back, and from then on the same file and builder."""
    check(cluster)


@settings(max_examples=300)
@given(jobs().filter(is_buildable))
def test_jobs_of_every_toolkit_survive_a_file(job):
    """The same model comes back, and from then on the same file and builder."""
    check(job)


@settings(max_examples=60)
@given(file_servers())
def test_file_servers_survive_a_file(server):
    """The same model comes back, and from then on the same file and builder."""
    check(server)


@pytest.mark.parametrize("toolkit", TOOLKITS, ids=lambda toolkit: toolkit.__name__)
def test_each_toolkit_is_found_by_its_settings(toolkit, tmp_path):
    """Its own class reads the file; another toolkit's refuses it."""
    job = toolkit("j").std_out_err_path_prefix("/out")
    job = job.command_line("true") if hasattr(job, "command_line") else job.script("t.py")
    job.to_file(tmp_path / "job.json")

    assert toolkit.from_file(tmp_path / "job.json", name="j") == job
    other = next(one for one in TOOLKITS if not isinstance(job, one))
    with pytest.raises(ValueError, match=f"made for {toolkit.__name__}, not {other.__name__}"):
        other.from_file(tmp_path / "job.json")


def test_paths_by_share_are_written_as_the_node_has_them(tmp_path):
    """With the cluster's mounts; without them there is no telling."""
    cluster = ClusterBuilder("c").mount("share", at="external")
    job = CustomJobBuilder("j").command_line("true")
    job.to_file(tmp_path / "job.json", mounts=cluster.mounts)

    written = json.loads((tmp_path / "job.json").read_text())["properties"]
    assert written["stdOutErrPathPrefix"] == "$AZ_BATCHAI_MOUNT_ROOT/external"
    with pytest.raises(ValueError, match="has no std_out_err_path_prefix"):
        job.to_file(tmp_path / "other.json")


def test_secrets_inside_other_texts_are_hidden_too(tmp_path):
    """A mount command that repeats a key, two keys of one account, two secrets by one name."""
    cluster = (
        ClusterBuilder("c")
        .vm_size("STANDARD_D1")
        .mount("first", at="a", account="elsewhere", key="first-long-key")
        .mount("second", at="b", account="elsewhere", key="second-long-key")
        .mount_unmanaged_file_system("mount -o password=first-long-key", at="c")
    )
    names = cluster.to_file(tmp_path / "cluster.json")
    text = (tmp_path / "cluster.json").read_text()

    assert names == ("STORAGE_KEY_ELSEWHERE", "STORAGE_KEY_ELSEWHERE_2")
    assert "long-key" not in text
    assert "mount -o password=<STORAGE_KEY_ELSEWHERE>" in text
    values = dict(zip(names, ("first-long-key", "second-long-key"), strict=True))
    again = ClusterBuilder.from_file(tmp_path / "cluster.json", name="c", variables=values)
    assert again == cluster


def test_the_file_is_the_official_recipes_format(tmp_path):
    """With their placeholders for the session's account."""
    cluster = ClusterBuilder("c").vm_size("STANDARD_NC6").mount("share", at="external")
    assert cluster.to_file(tmp_path / "cluster.json") == ()

    written = json.loads((tmp_path / "cluster.json").read_text())
    assert written["$schema"].endswith("/schemas/2018-05-01/cluster.json")
    (share,) = written["properties"]["nodeSetup"]["mountVolumes"]["azureFileShares"]
    assert share == {
        "accountName": "<AZURE_BATCHAI_STORAGE_ACCOUNT>",
        "azureFileUrl": "https://<AZURE_BATCHAI_STORAGE_ACCOUNT>.file.core.windows.net/share",
        "credentials": {"accountKey": "<AZURE_BATCHAI_STORAGE_KEY>"},
        "relativeMountPath": "external",
        "fileMode": "0777",
        "directoryMode": "0777",
    }


@pytest.mark.parametrize(
    ("place", "problem"), [("missing/job.json", "No such file"), ("", "directory")]
)
def test_what_cannot_be_written_is_said(tmp_path, place, problem):
    """With the file's name, and nothing is left beside it."""
    job = CustomJobBuilder("j").command_line("true").std_out_err_path_prefix("/out")
    with pytest.raises(ValueError, match=f"cannot be written: .*{re.escape(problem)}"):
        job.to_file(tmp_path / place if place else tmp_path)
    assert list(tmp_path.iterdir()) == []
