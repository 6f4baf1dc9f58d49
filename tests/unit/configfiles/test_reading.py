"""Reading Batch AI's own files, right ones and wrong ones."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes import (
    ClusterBuilder,
    CntkJobBuilder,
    ConfigFileError,
    ConfigurationError,
    CustomJobBuilder,
    FileServerBuilder,
    JobBuilder,
    PyTorchJobBuilder,
    StorageAccount,
    TensorFlowJobBuilder,
)
from batchai_recipes.builders.mount import MountAccount

EXAMPLES = Path(__file__).parents[4] / "shared" / "specs" / "config-examples"
STORAGE = StorageAccount("demo", "a2V5", "http://127.0.0.1:1/demo")
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


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the examples are beside a full checkout only")
def test_every_example_of_the_old_command_line_reads():
    """As it is, also the old names in it."""
    found = sorted(EXAMPLES.glob("*.json"))
    jobs = [JobBuilder.from_file(path) for path in found if "job" in path.name]
    clusters = [ClusterBuilder.from_file(path) for path in found if "cluster" in path.name]
    servers = [FileServerBuilder.from_file(path) for path in found if "server" in path.name]

    assert (len(jobs), len(clusters), len(servers)) == (5, 3, 1)
    assert servers[0].build().data_disks.disk_count == 2
    assert {type(job) for job in jobs} == {CustomJobBuilder}
    for job in jobs:
        assert job.build(cluster_id="/c", storage=STORAGE).custom_toolkit_settings
    assert [cluster.build(STORAGE).vm_size for cluster in clusters] == ["STANDARD_D1"] * 3


class TestTheOfficialRecipesShapes:
    """What their files have, as they have it."""

    def test_pytorch_on_two_nodes(self, read):
        """Arguments stay the line that the file has; shares are the session's."""
        line = "--dist-url $AZ_BATCHAI_PYTORCH_INIT_METHOD --rank $AZ_BATCHAI_TASK_INDEX"
        job = read(
            {
                "nodeCount": 2,
                "pyTorchSettings": {
                    "pythonScriptFilePath": "$AZ_BATCHAI_JOB_MOUNT_ROOT/scripts/trainer.py",
                    "commandLineArgs": line,
                    "communicationBackend": "gloo",
                },
                "stdOutErrPathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/scripts",
                "mountVolumes": {"azureFileShares": [SHARE]},
            },
            PyTorchJobBuilder,
        )
        assert job.node_count == 2
        model = job.build(cluster_id="/c", mounts=(), storage=STORAGE)
        assert model.py_torch_settings.command_line_args == line
        (share,) = model.mount_volumes.azure_file_shares
        assert (share.account_name, share.credentials.account_key) == ("demo", "a2V5")
        assert share.azure_file_url == "http://127.0.0.1:1/demo/scripts"

    def test_tensorflow_with_a_parameter_server(self, read):
        """Counts and the lines of each role."""
        job = read(
            {
                **{key: JOB[key] for key in ("stdOutErrPathPrefix", "nodeCount")},
                "tensorFlowSettings": {
                    "parameterServerCount": 1,
                    "workerCount": 2,
                    "pythonScriptFilePath": "mnist_replica.py",
                    "masterCommandLineArgs": "--job_name=worker",
                    "workerCommandLineArgs": "--job_name=worker",
                    "parameterServerCommandLineArgs": "--job_name=ps --num_gpus=0",
                },
            },
            TensorFlowJobBuilder,
        )
        settings = job.build(cluster_id="/c").tensor_flow_settings
        assert (settings.worker_count, settings.parameter_server_count) == (2, 1)
        assert settings.parameter_server_command_line_args == "--job_name=ps --num_gpus=0"

    def test_a_property_by_its_python_name(self, read):
        """As one recipe of CNTK has it."""
        job = read(
            {"cntkSettings": {"pythonScriptFilePath": "a.py", "process_count": 2}}, CntkJobBuilder
        )
        assert job.process_count == 2

    def test_what_earlier_releases_had_is_left_out(self, read, tmp_path):
        """Experiments, priorities, types of directories and kinds of tools."""
        output = {"id": "MODEL", "pathPrefix": "/out", "type": "model", "createNew": True}
        former = {
            **JOB,
            "experimentName": "e",
            "priority": 0,
            "toolType": "custom",
            "outputDirectories": [output],
        }
        assert [one.id for one in read(former).outputs] == ["MODEL"]
        path = tmp_path / "cluster.json"
        path.write_text(json.dumps({"location": "eastus", "properties": CLUSTER}))
        assert ClusterBuilder.from_file(path).size == "STANDARD_D1"

    def test_what_the_service_shows_reads_too(self, tmp_path):
        """Without `properties` around it, with what it tells of a job, and with nulls."""
        shown = {
            **JOB,
            "$schema": "job.json",
            "name": "shown",
            "id": "/subscriptions/s/jobs/shown",
            "executionState": "succeeded",
            "caffeSettings": None,
            "cluster": {"id": "/c", "resourceGroup": "g"},
        }
        path = tmp_path / "any.json"
        path.write_text("\ufeff" + json.dumps(shown))
        assert JobBuilder.from_file(path).name == "shown"

    def test_the_name_is_the_files_own(self, tmp_path):
        """With what no name may have replaced; or the one that is given."""
        path = tmp_path / "my job.v2.json"
        path.write_text(json.dumps({"properties": JOB}))
        assert JobBuilder.from_file(path).name == "my-job-v2"
        assert JobBuilder.from_file(path, name="other").name == "other"
        with pytest.raises(ConfigFileError, match="'a b' is not a name for a job"):
            JobBuilder.from_file(path, name="a b")


class TestTheAdminUser:
    """Whose public key may be one, or the path of one, as Azure's command line took it."""

    @pytest.fixture
    def user(self, read):
        """Read a cluster with a public key."""

        def user(key, **more):
            account = {"adminUserName": "demo", "adminUserSshPublicKey": key, **more}
            return read({**CLUSTER, "userAccountSettings": account}, ClusterBuilder).admin

        return user

    @pytest.mark.parametrize("kind", ["ssh-rsa", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@x.com"])
    def test_a_key_is_taken_as_it_is(self, user, kind):
        """Whatever its type."""
        assert user(f"{kind} AAAA demo").ssh_public_key == f"{kind} AAAA demo"

    def test_a_path_is_read(self, user, tmp_path, monkeypatch):
        """From the working directory, or the user's own."""
        (tmp_path / "id_rsa.pub").write_text("ssh-rsa AAAA demo\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        for path in ("~/id_rsa.pub", "id_rsa.pub", str(tmp_path / "id_rsa.pub")):
            assert user(path).ssh_public_key == "ssh-rsa AAAA demo"

    def test_what_is_neither_is_told(self, user, tmp_path):
        """With its place, and what it should be."""
        place = r"properties\.userAccountSettings"
        missing = rf"{place}\.adminUserSshPublicKey: 'nokey' is neither .* nor the path of one"
        with pytest.raises(ConfigFileError, match=missing):
            user("nokey")
        with pytest.raises(ConfigFileError, match="is neither a public key"):
            user("~nobody-of-this-name/key")
        (tmp_path / "other").write_text("hello")
        with pytest.raises(ConfigFileError, match="other has no public key, such as 'ssh-rsa"):
            user(str(tmp_path / "other"))
        (tmp_path / "id_rsa").write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
        with pytest.raises(ConfigFileError, match=rf"{place}: .* is a private key"):
            user(str(tmp_path / "id_rsa"))

    def test_without_key_and_password_it_is_the_connections(self, user):
        """As in what the service shows."""
        assert user(None) is None


class TestAFileServer:
    """As `az batchai file-server create -f` took it."""

    def test_mistakes_are_told_with_their_place(self, read):
        """As in the other files."""
        disks = {"diskCount": 1, "diskSizeInGB": 0, "storageAccountType": "Standard_LRS"}
        with pytest.raises(ConfigFileError, match="dataDisks: .*gigabytes"):
            read({"dataDisks": disks}, FileServerBuilder)
        with pytest.raises(ConfigFileError, match="did you mean 'Standard_LRS'"):
            read(
                {"dataDisks": {**disks, "diskSizeInGB": 1, "storageAccountType": "standard_lrs"}},
                FileServerBuilder,
            )
        with pytest.raises(ConfigFileError, match="is this the cluster's file"):
            read({"scaleSettings": {}}, FileServerBuilder)
        with pytest.raises(ConfigurationError, match=r"has no data disks: add .data_disks"):
            read({"vmSize": "STANDARD_D1"}, FileServerBuilder).build()

    def test_what_the_service_shows_reads_too(self, read):
        """Without what it alone knows."""
        shown = {"vmSize": "STANDARD_D1", "provisioningState": "succeeded", "mountSettings": {}}
        assert read(shown, FileServerBuilder).size == "STANDARD_D1"


class TestPlaceholders:
    """What stands for them, and where nothing does."""

    def test_the_connections_account_by_its_name(self, read):
        """Is the session's too, whatever the form of the share's URL."""
        for url in (
            "https://demo.file.core.windows.net/scripts",
            "http://127.0.0.1:1/demo/scripts",
        ):
            job = read(with_share(accountName="demo", azureFileUrl=url), storage=STORAGE)
            assert [(mount.share, mount.account) for mount in job.mounts] == [("scripts", None)]

    def test_another_key_or_url_of_the_account_is_kept(self, read):
        """And needs the account's name."""
        credentials = {"accountKey": "b3RoZXI="}
        (mount,) = read(with_share(credentials=credentials), storage=STORAGE).mounts
        assert mount.account == MountAccount("demo", "b3RoZXI=")
        with pytest.raises(ConfigFileError, match=r"accountName: the placeholder .*storage="):
            read(with_share(credentials=credentials))
        elsewhere = {"accountName": "demo", "azureFileUrl": "http://10.0.0.1/demo/scripts"}
        (mount,) = read(with_share(**elsewhere), storage=STORAGE).mounts
        assert (mount.url, mount.account) == (
            elsewhere["azureFileUrl"],
            MountAccount("demo", "a2V5"),
        )

    def test_in_commands_they_are_filled(self, read):
        """By the account that is given, and by variables."""
        command = "mount //<AZURE_BATCHAI_STORAGE_ACCOUNT>/<SHARE_NAME> <UNK> < in"
        job = read(
            {**JOB, "customToolkitSettings": {"commandLine": command}},
            storage=STORAGE,
            variables={"SHARE_NAME": "data"},
        )
        assert job.command == "mount //demo/data <UNK> < in"

    def test_one_without_a_value_names_file_place_and_itself(self, read):
        """And says how to give it."""
        hidden = {**JOB, "secrets": [{"name": "A", "value": "<SECRET_A>"}]}
        with pytest.raises(
            ConfigFileError,
            match=r"JobBuilder.json: properties.secrets\[0\].value: .*<SECRET_A> has",
        ) as raised:
            read(hidden)
        assert raised.value.place == "properties.secrets[0].value"
        command = {**JOB, "jobPreparation": {"commandLine": "<AZURE_BATCHAI_STORAGE_ACCOUNT>"}}
        with pytest.raises(ConfigFileError, match="give storage=connection.storage"):
            read(command)


VAULT = {
    "sourceVault": {"id": "/providers/Microsoft.KeyVault/vaults/v"},
    "secretUrl": "https://v.vault.azure.net/secrets/s",
}
WRONG_JOBS = {
    "a typo": ({"nodeCont": 2}, r"properties.nodeCont: no such property: did you .*'nodeCount'"),
    "upper and lower case": ({"nodecount": 2}, "did you mean 'nodeCount'"),
    "a typo inside": (
        {"customToolkitSettings": {"comandLine": "true"}},
        r"properties.customToolkitSettings.comandLine: .*'commandLine'",
    ),
    "nothing like it": ({"xyz": 2}, "no such property: there are 'caffe2Settings', 'caffe"),
    "a cluster's": ({"vmSize": "STANDARD_D1"}, "a property of a cluster: is this the cluster's"),
    "a property twice": (
        {"nodeCount": 1, "node_count": 1},
        "node_count: the same as 'nodeCount'",
    ),
    "a number as text": ({"nodeCount": "2"}, "nodeCount: must be a whole number; it is a text"),
    "a truth value": ({"nodeCount": True}, "must be a whole number; it is true or false"),
    "a text as number": ({"stdOutErrPathPrefix": 1}, 'must be a text, written as "..."; it is a n'),
    "a list for an object": ({"jobPreparation": []}, "must be an object, .* it is a list"),
    "an object for a list": ({"secrets": {}}, "must be a list, .* it is an object"),
    "null in a list": ({"secrets": [None]}, r"secrets\[0\]: must be an object, .* it is null"),
    "too few nodes": ({"nodeCount": 0}, r"properties.nodeCount: The number of nodes of a job is"),
    "another priority": ({"schedulingPriority": "urgent"}, "'urgent' is no priority"),
    "a missing property": ({"inputDirectories": [{"id": "A"}]}, r"\[0\].path: missing"),
    "an id twice": (
        {"inputDirectories": [{"id": "A", "path": "/a"}, {"id": "A", "path": "/b"}]},
        r"inputDirectories\[1\]: Input directory 'A' is declared twice",
    ),
    "a variable twice": (
        {"environmentVariables": [{"name": "A", "value": ""}] * 2},
        r"environmentVariables\[1\].name: 'A' is set twice",
    ),
    "a reserved variable": (
        {"environmentVariables": [{"name": "AZ_BATCHAI_X", "value": ""}]},
        "environmentVariables: Names beginning with AZ_BATCH are the service's own",
    ),
    "a secret twice": ({"secrets": [{"name": "A", "value": "1"}] * 2}, "'A' is set twice"),
    "a secret without value": ({"secrets": [{"name": "A"}]}, r"secrets\[0\].value: missing"),
    "a secret in two ways": (
        {"secrets": [{"name": "A", "value": "1", "valueSecretReference": VAULT}]},
        "given beside 'valueSecretReference'",
    ),
    "no vault": (
        {
            "secrets": [
                {"name": "A", "valueSecretReference": {**VAULT, "secretUrl": "http://nowhere"}}
            ]
        },
        "'http://nowhere' is no URL of a secret",
    ),
    "no duration": ({"constraints": {"maxWallClockTime": "12 hours"}}, "write it as ISO"),
    "months": ({"constraints": {"maxWallClockTime": "P1M"}}, "count days, as in 'P30D'"),
    "an endless duration": ({"constraints": {"maxWallClockTime": "P" + "9" * 30 + "D"}}, "ISO 86"),
    "half a registry user": (
        {
            "containerSettings": {
                "imageSourceRegistry": {"image": "i", "credentials": {"username": "u"}}
            }
        },
        "containerSettings: Give both username and password",
    ),
    "no toolkit": ({"customToolkitSettings": None}, "this one has none: give one of 'caffe2"),
    "two toolkits": (
        {"customMpiSettings": {"commandLine": "true"}},
        "has 'customToolkitSettings' and 'customMpiSettings'",
    ),
    "another backend": (
        {
            "customToolkitSettings": None,
            "pyTorchSettings": {"pythonScriptFilePath": "a", "communicationBackend": "udp"},
        },
        "communicationBackend: 'udp' is none: use 'gloo'",
    ),
    "another language": (
        {
            "customToolkitSettings": None,
            "cntkSettings": {"pythonScriptFilePath": "a", "languageType": "BrainScript"},
        },
        "a job with 'pythonScriptFilePath': use 'Python'",
    ),
    "no processes": (
        {
            "customToolkitSettings": None,
            "customMpiSettings": {"commandLine": "a", "processCount": 0},
        },
        "customMpiSettings.processCount: The number of processes",
    ),
}
WRONG_SHARES = {
    "no share": ({"azureFileUrl": "https://a.file.core.windows.net"}, "no share's name at the end"),
    "no URL": ({"azureFileUrl": "https://[a/b"}, "azureFileUrl: no URL"),
    "no key": ({"accountName": "elsewhere"}, "credentials: no key of the .*'elsewhere'"),
    "a place outside": ({"relativeMountPath": "../up"}, "is not a relative path for a mount"),
    "another mode": ({"fileMode": "rwx"}, "'rwx' is no mode"),
}


@pytest.mark.parametrize(("changed", "problem"), WRONG_JOBS.values(), ids=list(WRONG_JOBS))
def test_wrong_jobs_are_refused_by_place(read, changed, problem):
    """With the file, the property and what to do."""
    with pytest.raises(ConfigFileError, match=rf"JobBuilder.json: .*{problem}"):
        read({**JOB, **changed})


@pytest.mark.parametrize(("changed", "problem"), WRONG_SHARES.values(), ids=list(WRONG_SHARES))
def test_wrong_mounts_are_refused_by_place(read, changed, problem):
    """With their number in the list."""
    with pytest.raises(ConfigFileError, match=rf"azureFileShares\[0\].*{problem}"):
        read(with_share(**changed))


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"vmPriority": "cheap"}, "vmPriority: 'cheap' is no priority: use 'dedicated'"),
        ({"scaleSettings": {}}, "scaleSettings: either 'manual' or 'autoScale' is needed"),
        (
            {"scaleSettings": {"autoScale": {"minimumNodeCount": 2, "maximumNodeCount": 1}}},
            "scaleSettings.autoScale: The minimum of 2 nodes is more",
        ),
        (
            {"scaleSettings": {"manual": {"targetNodeCount": 1, "nodeDeallocationOption": "x"}}},
            "'x' is no node deallocation option",
        ),
        (
            {"userAccountSettings": {"adminUserName": "", "adminUserPassword": "b"}},
            "userAccountSettings: The admin user's name is empty",
        ),
        ({"userAccountSettings": {"adminUserPassword": "a"}}, "adminUserName: missing"),
        ({"subnet": {"id": "/x"}}, "subnet.id: '/x' is no resource id of a subnet"),
        ({"nodeCount": 1}, "a property of a job: is this the job's file"),
    ],
)
def test_wrong_clusters_are_refused_by_place(read, changed, problem):
    """With the property and what to do."""
    with pytest.raises(ConfigFileError, match=problem):
        read({**CLUSTER, **changed}, ClusterBuilder)


def test_words_of_the_contract_are_taken_in_upper_case(read):
    """As the service takes them."""
    manual = {"targetNodeCount": 1, "nodeDeallocationOption": "Terminate"}
    cluster = read(
        {**CLUSTER, "vmPriority": "LowPriority", "scaleSettings": {"manual": manual}},
        ClusterBuilder,
    )
    assert (cluster.priority, cluster.scale.node_deallocation_option) == (
        "lowpriority",
        "terminate",
    )
    assert read({**JOB, "schedulingPriority": "High"}).scheduling_priority == "high"


WRONG_FILES = {
    "not there": (None, "cannot be read: No such file"),
    "empty": (b"", "no JSON: Expecting value in line 1, column 1"),
    "a trailing comma": (b'{\n"properties": {},\n}', "no JSON: .* line [23]"),
    "no object": (b"[]", "must hold one object"),
    "no text": (b"\xff\xfe", "no text in UTF-8"),
    "a key twice": (b'{"properties": {"nodeCount": 1, "nodeCount": 2}}', "nodeCount: twice"),
    "no number": (b'{"properties": {"nodeCount": NaN}}', "NaN is no number"),
    "deep": (b'{"properties":' * 100_000, "cannot be parsed"),
    "a huge number": (b'{"nodeCount": ' + b"9" * 5000 + b"}", "cannot be parsed"),
    "beside": (b'{"properties": {}, "nodeCount": 1}', "nodeCount: beside 'properties'"),
    "properties of no object": (b'{"properties": 1}', "properties: must be an object"),
}


@pytest.mark.parametrize(("content", "problem"), WRONG_FILES.values(), ids=list(WRONG_FILES))
def test_files_that_are_none_are_refused(tmp_path, content, problem):
    """With what is wrong, as every mistake of a user."""
    path = tmp_path / "job.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"job.json: .*{problem}"):
        JobBuilder.from_file(path)


def test_a_secret_of_the_wrong_type_is_not_shown(read):
    """Nor is anything else of a value whose type is wrong."""
    with pytest.raises(ConfigFileError) as raised:
        read({**JOB, "secrets": [{"name": "A", "value": ["S3CR3T"]}]})
    assert "S3CR3T" not in str(raised.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(st.data())
def test_any_value_anywhere_is_read_or_refused(tmp_path_factory, data):
    """Never is it another error than one that names the place."""
    path = tmp_path_factory.mktemp("any") / "job.json"
    properties = with_share()
    key = data.draw(st.sampled_from(sorted(properties)))
    inner = properties[key]
    if isinstance(inner, dict) and data.draw(st.booleans()):
        properties[key] = {**inner, data.draw(st.sampled_from(sorted(inner))): data.draw(JSON)}
    else:
        properties[key] = data.draw(JSON)
    path.write_text(json.dumps({"properties": properties}))
    with suppress(ConfigFileError):
        assert isinstance(JobBuilder.from_file(path), CustomJobBuilder)
