"""ClusterBuilder."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes import (
    ClusterBuilder,
    ConfigurationError,
    FileShareStaging,
    StorageAccount,
    UnknownVmSizeWarning,
)

STORAGE = StorageAccount("demo", "a2V5", "http://127.0.0.1:1/demo")
PLAIN = ClusterBuilder("mycluster").vm_size("STANDARD_NC6")


def test_each_method_returns_a_new_builder_and_leaves_the_old_one():
    """A builder is a value."""
    two = PLAIN.nodes(2)

    assert (PLAIN.target_node_count, two.target_node_count) == (1, 2)


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
