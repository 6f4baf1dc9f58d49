"""Reading Batch AI's own files."""

import json
from pathlib import Path

import pytest

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

from .conftest import CLUSTER, JOB, SHARE, with_share

EXAMPLES = Path(__file__).parents[4] / "shared" / "specs" / "config-examples"
STORAGE = StorageAccount("demo", "a2V5", "http://127.0.0.1:1/demo")


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
