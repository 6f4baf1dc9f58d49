"""Mount volumes: which are granted, and what those who are refused are told."""

import pytest

from batchai_recipes.service.engines.engine import Mount
from batchai_recipes.service.file_server_disks import FileServerDisks
from batchai_recipes.service.scheduling.volume import VolumeError
from batchai_recipes.service.scheduling.volume_places import VolumePlaces
from batchai_recipes.service.scheduling.volumes import Volumes
from batchai_recipes.service.storage_endpoints import StorageEndpoints

WORKSPACE = "/subscriptions/S/resourceGroups/group/providers/Microsoft.BatchAI/workspaces/ws"


@pytest.fixture
def disks(store, state):
    """The disks of file servers."""
    return FileServerDisks(store, state)


@pytest.fixture
def volumes(accounts, shares, state, disks):
    """Volumes over one account with one share, of a service that listens at port 8000."""
    endpoints = StorageEndpoints(
        "http://127.0.0.1:8000", {"azurite": "http://127.0.0.1:10000/azurite"}
    )
    return Volumes(accounts, shares, VolumePlaces(state, disks, endpoints))


def resolve(volumes, made):
    """Resolve the volumes of a node setup."""
    return volumes.resolve(made["setup"]["mountVolumes"], made["secrets"]["accountKeys"], "owner")


def only(resolved):
    """Return the only mount."""
    (mount,) = resolved.mounts
    return mount


def test_a_share_is_found_behind_its_url(volumes, share_mount, share_folder):
    """Host style URLs lead to the folder of the share."""
    assert Mount("share", share_folder) == only(resolve(volumes, share_mount()))


def test_a_path_style_url_is_the_same_share(volumes, share_mount, share_folder):
    """So do URLs of the service itself, at whatever port it listened when they were written."""
    made = share_mount()
    reference = made["setup"]["mountVolumes"]["azureFileShares"][0]
    reference["azureFileUrl"] = "http://127.0.0.1:8080/demoaccount/data"
    assert Mount("share", share_folder) == only(resolve(volumes, made))


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"key": "d3Jvbmc="}, "check credentials.accountKey"),
        ({"key": ""}, "set credentials.accountKey"),
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


@pytest.mark.parametrize("kind", ["fileServers", "unmanagedFileSystems", "floppyDisks"])
def test_without_places_other_kinds_are_refused_by_name(accounts, shares, kind):
    """As those are that nobody knows."""
    with pytest.raises(VolumeError, match=kind) as caught:
        Volumes(accounts, shares).resolve({kind: [{"relativeMountPath": "a"}]}, {})
    assert caught.value.code == "MountVolumeNotSupported"


def test_without_volumes_nothing_is_mounted(volumes):
    """No setting, an empty one and an empty list are the same."""
    for nothing in (None, {}, {"azureFileShares": []}):
        assert volumes.resolve(nothing, {}).mounts == ()


@pytest.mark.parametrize(
    ("url", "account", "endpoint"),
    [
        (
            "https://other.file.core.windows.net/data",
            "other",
            "https://other.file.core.windows.net",
        ),
        ("http://127.0.0.1:1234/other/data", "other", "http://127.0.0.1:1234/other"),
        # Two services have accounts of the same name; key and address tell them apart.
        (
            "http://127.0.0.1:1234/demoaccount/data",
            "demoaccount",
            "http://127.0.0.1:1234/demoaccount",
        ),
    ],
)
def test_a_share_of_another_endpoint_is_a_copy(volumes, share_mount, state, url, account, endpoint):
    """In a folder of its owner's own."""
    made = share_mount(key="b3RoZXI=", account=account)
    reference = made["setup"]["mountVolumes"]["azureFileShares"][0]
    reference |= {"azureFileUrl": url, "fileMode": "0750"}
    resolved = resolve(volumes, made)
    (remote,) = resolved.remote
    assert (remote.kind, remote.account, remote.name, remote.key) == (
        *("files", account, "data"),
        "b3RoZXI=",
    )
    assert remote.endpoint == endpoint
    assert (remote.file_mode, remote.directory_mode) == (0o750, 0o777)
    assert only(resolved).source == remote.data
    assert remote.data.is_dir()
    assert remote.data.is_relative_to(state.volumes / "owner")
    assert "b3RoZXI=" not in repr(resolved)


@pytest.mark.parametrize(
    "url",
    ["https://demoaccount.file.core.windows.net/data", "http://localhost:8000/demoaccount/data"],
)
def test_a_wrong_key_of_the_services_own_account_is_no_other_endpoint(volumes, share_mount, url):
    """Its address says that this service was meant."""
    made = share_mount(key="d3Jvbmc=")
    made["setup"]["mountVolumes"]["azureFileShares"][0]["azureFileUrl"] = url
    with pytest.raises(VolumeError, match="check credentials"):
        resolve(volumes, made)


def test_the_copy_of_a_volume_that_lost_its_data_is_not_made_anew(volumes, share_mount):
    """What is not there would be taken for deleted by the job."""
    made = share_mount(account="other", key="b3RoZXI=")
    source = only(resolve(volumes, made)).source
    source.rmdir()
    (source.parent / "manifest.json").write_text("{}")
    with pytest.raises(VolumeError, match="its copy cannot be made"):
        resolve(volumes, made)


def test_containers_are_copies_wherever_their_account_is(volumes):
    """At Azure's address, unless another one is known."""
    container = {
        "containerName": "data",
        "relativeMountPath": "a",
        "mountOptions": "-o ro,use_https --log-level=x",
    }
    for account, endpoint in (
        ("azure", "https://azure.blob.core.windows.net"),
        ("azurite", "http://127.0.0.1:10000/azurite"),
    ):
        found = {"azureBlobFileSystems": [container | {"accountName": account}]}
        resolved = volumes.resolve(found, {"a": "a2V5"}, "owner")
        (remote,) = resolved.remote
        assert (remote.kind, remote.name, remote.endpoint) == ("blobs", "data", endpoint)
        assert (remote.read_only, only(resolved).read_only) == (True, True)
        assert ["use_https" in resolved.notes[0], "log-level" in resolved.notes[1]] == [True, True]


class TestFileServers:
    """A directory stands for the disk of each."""

    @pytest.fixture
    def server(self, rows):
        """The id of a file server."""
        server_id = f"{WORKSPACE}/fileServers/server"
        rows.add_resource("fileServer", server_id, WORKSPACE)
        return server_id

    def test_it_is_mounted_by_link(self, volumes, server, disks):
        """All of it, or a directory on it; in any case of its id."""
        disk = disks.root(server)
        (disk / "data" / "in").mkdir(parents=True)
        for directory, folder in (
            ("", disk),
            ("data/in", disk / "data/in"),
            ("/data", disk / "data"),
        ):
            volume = {"fileServer": {"id": server.upper()}, "relativeMountPath": "nfs"}
            volume |= {"sourceDirectory": directory, "mountOptions": "ro"}
            resolved = volumes.resolve({"fileServers": [volume]}, {})
            assert Mount("nfs", folder, read_only=True) == only(resolved)

    @pytest.mark.parametrize(
        ("changes", "hint"),
        [
            ({"fileServer": {"id": "/nobody"}}, "no file server '/nobody'"),
            ({"sourceDirectory": "missing"}, "no directory 'missing': make it below"),
            ({"sourceDirectory": "../.."}, "leads out"),
            ({"sourceDirectory": "link"}, "leads out"),
            ({"sourceDirectory": "circle"}, "leads to no directory|no directory 'circle'"),
            ({"sourceDirectory": "data\0"}, "leads to no directory"),
            ({"mountOptions": "'"}, "mountOptions"),
        ],
    )
    def test_what_is_wrong_is_told(self, volumes, server, disks, changes, hint):
        """With what to do."""
        (disks.root(server) / "link").symlink_to("/etc")
        (disks.root(server) / "circle").symlink_to("circle")
        volume = {"fileServer": {"id": server}, "relativeMountPath": "nfs", **changes}
        with pytest.raises(VolumeError, match=hint):
            volumes.resolve({"fileServers": [volume]}, {})

    def test_its_disk_goes_with_it(self, server, disks, rows, store):
        """And not before."""
        disk = disks.root(server)
        (disk / "kept").touch()
        disks.remove_orphans()
        assert (disk / "kept").exists()
        with store.write() as records:
            records.execute("DELETE FROM resources WHERE kind = 'fileServer'")
        disks.remove_orphans()
        assert not disk.exists()


class TestUnmanaged:
    """Directories of this machine."""

    def test_a_bound_directory_is_mounted_by_link(self, volumes, tmp_path):
        """No command is run."""
        (tmp_path / "data").mkdir()
        command = f"sudo mount -o bind,ro {tmp_path / 'data'}"
        volume = {"mountCommand": command, "relativeMountPath": "data"}
        resolved = volumes.resolve({"unmanagedFileSystems": [volume]}, {})
        assert Mount("data", tmp_path / "data", read_only=True) == only(resolved)

    @pytest.mark.parametrize(
        ("directory", "hint"),
        [
            ("/", "state directory"),
            ("{state}", "state directory"),
            ("{state}/shares", "state directory"),
            ("{link}", "state directory"),
            ("/no/such/directory", "make it first"),
            ("{circle}", "leads to no directory|make it first"),
        ],
    )
    def test_what_must_not_or_cannot_be_mounted_is_told(
        self, volumes, state, tmp_path, directory, hint
    ):
        """The state directory holds everybody's keys."""
        (tmp_path / "link").symlink_to(state.root)
        (tmp_path / "circle").symlink_to("circle")
        path = directory.format(
            state=state.root, link=tmp_path / "link", circle=tmp_path / "circle"
        )
        volume = {"mountCommand": f"mount --bind {path}", "relativeMountPath": "data"}
        with pytest.raises(VolumeError, match=hint):
            volumes.resolve({"unmanagedFileSystems": [volume]}, {})
