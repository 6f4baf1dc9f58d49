"""ClusterBuilder."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes import (
    ClusterBuilder,
    ConfigurationError,
    FileShareStaging,
    KeyVaultSecret,
    StorageAccount,
    UnknownVmSizeWarning,
)

STORAGE = StorageAccount("demo", "a2V5", "http://127.0.0.1:1/demo")
PLAIN = ClusterBuilder("mycluster").vm_size("STANDARD_NC6")


def test_each_method_returns_a_new_builder_and_leaves_the_old_one():
    """A builder is a value."""
    two = PLAIN.nodes(2)

    assert (PLAIN.scale.target_node_count, two.scale.target_node_count) == (1, 2)


def test_it_builds_the_official_model():
    """Everything that was said arrives where the contract has it."""
    cluster = PLAIN.nodes(3).admin_user("demo", ssh_public_key="ssh-rsa AAAA").mount("data", at="d")

    assert cluster.build(STORAGE).serialize() == {
        "properties": {
            "vmSize": "STANDARD_NC6",
            "scaleSettings": {
                "manual": {"targetNodeCount": 3, "nodeDeallocationOption": "requeue"}
            },
            "userAccountSettings": {
                "adminUserName": "demo",
                "adminUserSshPublicKey": "ssh-rsa AAAA",
            },
            "nodeSetup": {
                "mountVolumes": {
                    "azureFileShares": [
                        {
                            "accountName": "demo",
                            "azureFileUrl": "http://127.0.0.1:1/demo/data",
                            "credentials": {"accountKey": "a2V5"},
                            "relativeMountPath": "d",
                            "fileMode": "0777",
                            "directoryMode": "0777",
                        }
                    ]
                }
            },
        }
    }


def test_builders_compare_and_pickle():
    """Equal descriptions are equal, also after a round trip."""
    cluster = PLAIN.mount("data", at="d")

    assert cluster == pickle.loads(pickle.dumps(cluster))


def test_the_password_is_never_shown():
    """A repr may land in a log."""
    cluster = PLAIN.admin_user("demo", password="s3cret")

    assert "s3cret" not in repr(cluster)


def test_an_unknown_vm_size_warns_with_the_nearest_one():
    """A typo is not an error, since a service may know more sizes than we do."""
    with pytest.warns(UnknownVmSizeWarning, match="did you mean 'STANDARD_NC6'"):
        cluster = ClusterBuilder("c").vm_size("STANDARD_NC66")

    assert cluster.size == "STANDARD_NC66"


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: ClusterBuilder("my cluster"),
        lambda: ClusterBuilder(""),
        lambda: ClusterBuilder("x" * 65),
        lambda: PLAIN.vm_size(" "),
        lambda: PLAIN.nodes(-1),
        lambda: PLAIN.nodes(True),
        lambda: PLAIN.nodes("2"),
        lambda: PLAIN.admin_user("demo"),
        lambda: PLAIN.admin_user(" ", password="x"),
        lambda: PLAIN.admin_user("demo", ssh_public_key="-----BEGIN OPENSSH PRIVATE KEY-----"),
        lambda: PLAIN.mount("Upper", at="d"),
        lambda: PLAIN.mount("data", at="/absolute"),
        lambda: PLAIN.mount("data", at="../up"),
        lambda: PLAIN.mount("data", at="d").mount("other", at="d/"),
        lambda: PLAIN.mount("data", at="d").mount("other", at="d/e"),
        lambda: PLAIN.mount("data", at="d/e").mount_blob_container("other", at="d"),
        lambda: PLAIN.mount("data", at="d", account="other"),
        lambda: PLAIN.mount("data", at="d", account="Other!", key="k"),
        lambda: PLAIN.mount("data", at="d", url="https://x.test/data"),
        lambda: PLAIN.mount("data", at="d", file_mode="rwx"),
        lambda: PLAIN.mount_blob_container("Upper", at="d"),
        lambda: PLAIN.mount_blob_container("a--b", at="d"),
        lambda: PLAIN.mount_file_server("nfs", at="d"),
        lambda: PLAIN.mount_unmanaged_file_system(" ", at="d"),
        lambda: PLAIN.nodes(1, node_deallocation_option="wait"),
        lambda: PLAIN.auto_scale(minimum=2, maximum=1),
        lambda: PLAIN.auto_scale(minimum=0, maximum=1, initial=2),
        lambda: PLAIN.auto_scale(minimum=-1, maximum=1),
        lambda: PLAIN.virtual_machine_image(publisher="", offer="o", sku="s"),
        lambda: PLAIN.virtual_machine_image(
            publisher="p", offer="o", sku="s", custom_image_id="mine"
        ),
        lambda: PLAIN.subnet("default"),
        lambda: PLAIN.setup_task(" "),
        lambda: PLAIN.setup_task("true", environment={"AZ_BATCHAI_X": "x"}),
        lambda: PLAIN.setup_task("true", environment={"A": "a"}, secrets={"A": "b"}),
        lambda: PLAIN.setup_task("true").build(),
        lambda: PLAIN.app_insights("mine", instrumentation_key="k"),
        lambda: PLAIN.app_insights("/x/components/c", instrumentation_key=""),
        lambda: KeyVaultSecret("vault", "https://v.test/secrets/s"),
        lambda: KeyVaultSecret("/x/vaults/v", "secret"),
        lambda: ClusterBuilder("c").build(),
        lambda: PLAIN.mount("data", at="d").build(),
    ],
)
def test_a_mistake_is_reported_by_the_method_that_was_given_it(mistake):
    """Not by the server, later."""
    with pytest.raises(ConfigurationError):
        mistake()


@given(st.text(alphabet="abcXYZ019-_", min_size=1, max_size=64))
def test_every_name_of_the_contract_is_taken(name):
    """1 to 64 letters, digits, dashes and underscores."""
    assert name == ClusterBuilder(name).name


def test_a_staging_is_mounted_by_its_share():
    """A staging stands for its share."""
    assert PLAIN.mount("data", at="d") == PLAIN.mount(FileShareStaging("data"), at="d")
