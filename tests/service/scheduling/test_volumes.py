"""Mount volumes: which are granted, and what those who are refused are told."""

import pytest

from batchai_recipes.service.engines.engine import Mount
from batchai_recipes.service.scheduling.volumes import VolumeError, Volumes


@pytest.fixture
def volumes(accounts, shares):
    """Volumes over one account with one share."""
    return Volumes(accounts, shares)


def resolve(volumes, made):
    """Resolve the volumes of a node setup."""
    return volumes.resolve(made["setup"]["mountVolumes"], made["secrets"]["accountKeys"])


def test_a_share_is_found_behind_its_url(volumes, share_mount, share_folder):
    """Host style URLs lead to the folder of the share."""
    expected = (Mount("share", share_folder),)
    assert expected == resolve(volumes, share_mount())


def test_a_path_style_url_is_the_same_share(volumes, share_mount, share_folder):
    """So do URLs of the service itself."""
    made = share_mount()
    reference = made["setup"]["mountVolumes"]["azureFileShares"][0]
    reference["azureFileUrl"] = "http://127.0.0.1:8080/demoaccount/data"
    assert (Mount("share", share_folder),) == resolve(volumes, made)


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"key": "d3Jvbmc="}, "check credentials.accountKey"),
        ({"key": ""}, "set credentials.accountKey"),
        ({"account": "nobody"}, "no storage account 'nobody'"),
        ({"share": "nothing"}, "no share 'nothing'"),
        ({"path": "../out"}, "relativeMountPath"),
        ({"path": "/abs"}, "relativeMountPath"),
        ({"path": ""}, "relativeMountPath"),
    ],
)
def test_a_share_that_cannot_be_mounted_is_refused_with_what_to_do(
    volumes, share_mount, settings, hint
):
    """Every refusal has the same code and names the setting to mend."""
    with pytest.raises(VolumeError, match=hint) as caught:
        resolve(volumes, share_mount(**settings))
    assert caught.value.code == "ShareMountFailed"


def test_a_wrong_key_is_not_repeated(volumes, share_mount):
    """Keys, even wrong ones, stay out of errors."""
    with pytest.raises(VolumeError) as caught:
        resolve(volumes, share_mount(key="d3Jvbmc="))
    assert "d3Jvbmc=" not in str(caught.value)


def test_overlapping_mounts_are_refused(volumes, share_mount):
    """A mount inside another would write into the outer one's share."""
    one, two = share_mount(path="a"), share_mount(path="a/b")
    one["setup"]["mountVolumes"]["azureFileShares"] += two["setup"]["mountVolumes"][
        "azureFileShares"
    ]
    one["secrets"]["accountKeys"] |= two["secrets"]["accountKeys"]
    with pytest.raises(VolumeError, match="overlaps"):
        resolve(volumes, one)


def test_other_kinds_are_refused_by_name(volumes):
    """Blob containers are no part of this release."""
    with pytest.raises(VolumeError, match="azureBlobFileSystems") as caught:
        volumes.resolve({"azureBlobFileSystems": [{"containerName": "c"}]}, {})
    assert caught.value.code == "MountVolumeNotSupported"


def test_without_volumes_nothing_is_mounted(volumes):
    """No setting, an empty one and an empty list are the same."""
    assert [volumes.resolve(nothing, {}) for nothing in (None, {}, {"azureFileShares": []})] == [
        (),
        (),
        (),
    ]
