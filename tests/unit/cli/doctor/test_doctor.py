"""`batchai-recipes doctor`, on machines that lack one thing or another."""

import json
import os
import stat
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner

from batchai_recipes.cli.app import app
from batchai_recipes.cli.doctor import installation, machine
from batchai_recipes.cli.doctor.installation import check_packages, check_python
from batchai_recipes.cli.doctor.machine import check_containers, check_disk, check_gpus, check_mpi
from batchai_recipes.cli.doctor.service import check_service


def states(checks):
    """Return what was looked at with its state."""
    return {check.what: check.state for check in checks}


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a program on an otherwise empty PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def make(name, text):
        (tmp_path / "bin").mkdir(exist_ok=True)
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(stat.S_IRWXU)

    return make


class TestMachine:
    """What jobs find."""

    def test_open_mpi_is_found(self, program):
        """With its version."""
        program("mpirun", "echo 'mpirun (Open MPI) 4.1.4'")
        [check] = check_mpi()
        assert (check.state, check.found) == ("ok", "mpirun (Open MPI) 4.1.4")

    @pytest.mark.parametrize(
        "text", ["echo 'HYDRA build details:'", "echo broken >&2; exit 1", "exit 1"]
    )
    def test_another_mpi_is_none(self, program, text):
        """Batch AI's jobs are started with Open MPI's options."""
        program("mpirun", text)
        [check] = check_mpi()
        assert check.state == "missing"
        assert "openmpi-bin" in check.advice

    def test_one_that_cannot_be_started_is_none(self, program, tmp_path):
        """As when its interpreter is gone."""
        program("mpirun", "")
        (tmp_path / "bin" / "mpirun").write_text("#!/nowhere/sh\n")
        [check] = check_mpi()
        assert check.state == "missing"

    def test_nothing_at_all(self, program):
        """No MPI, no containers, no GPUs: all are missing, and nothing has failed."""
        found = [*check_mpi(), *check_containers()]
        assert states(found) == {"MPI": "missing", "Containers": "missing"}
        assert all(check.advice for check in found)

    def test_podman_is_found(self, program):
        """When it answers."""
        program("podman", "exit 0")
        [check] = check_containers()
        assert (check.state, Path(check.found).name) == ("ok", "podman")

    def test_gpus_that_cuda_would_not_show_are_none(self, monkeypatch):
        """An empty list of devices hides all."""
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        [check] = check_gpus()
        assert check.state == "missing"

    def test_a_full_disk_has_failed(self, tmp_path, monkeypatch):
        """Also where the state directory is yet to be made."""
        [check] = check_disk(tmp_path / "not" / "yet")
        assert check.state == "ok"
        monkeypatch.setattr(machine, "_NEEDED_BYTES", 1 << 60)
        [check] = check_disk(tmp_path)
        assert (check.state, "make room" in check.advice) == ("failed", True)

    def test_a_place_that_is_not_writable_has_failed(self, tmp_path, monkeypatch):
        """And another one can be named."""
        monkeypatch.setattr(os, "access", lambda *_: False)
        [check] = check_disk(tmp_path)
        assert (check.state, "--state-dir" in check.advice) == ("failed", True)


class TestInstallation:
    """Python and packages."""

    @pytest.mark.parametrize(
        ("version", "state"), [((3, 9), "failed"), ((3, 12), "ok"), ((3, 99), "missing")]
    )
    def test_versions_of_python(self, version, state):
        """Old ones fail; new ones are no reason to stop."""
        [check] = check_python(version)
        assert check.state == state

    def test_a_missing_client_has_failed(self, monkeypatch):
        """With the package's name."""
        [check] = check_packages()
        assert (check.state, "azure-mgmt-batchai 7." in check.found) == ("ok", True)
        monkeypatch.setattr(installation, "_CLIENTS", ("no-such-client",))
        [check] = check_packages()
        assert (check.state, check.found) == ("failed", "no-such-client is not installed")


class TestService:
    """Another endpoint, as a settings file names it."""

    @pytest.fixture
    def env_file(self, tmp_path, settings):
        """A settings file for the endpoint of this process."""
        path = tmp_path / "batchai.env"
        storage = settings.storage
        path.write_text(
            f"BATCHAI_ENDPOINT={settings.endpoint}\nAZURE_AUTHORITY_HOST={settings.endpoint}\n"
            f"AZURE_TENANT_ID={settings.tenant_id}\nAZURE_CLIENT_ID=client\n"
            f"AZURE_CLIENT_SECRET=hidden\nAZURE_SUBSCRIPTION_ID={settings.subscription_id}\n"
            f"AZURE_STORAGE_ACCOUNT={storage.name}\nAZURE_STORAGE_KEY={storage.key}\n"
            f"BATCHAI_FILES_ENDPOINT={storage.files_endpoint}\n"
        )
        return path

    def test_all_is_well(self, endpoint, env_file):
        """What it sees is counted."""
        endpoint.on("GET", "/workspaces", {"value": []})
        shares = '<?xml version="1.0"?><EnumerationResults><Shares/></EnumerationResults>'
        endpoint.raw("GET", "/demo/?", (200, {"Content-Type": "application/xml"}, shares))
        found = list(check_service(None, env_file, None))
        assert states(found) == {"Service": "ok", "Credentials": "ok", "Storage account": "ok"}

    def test_refused_credentials_have_failed(self, endpoint, env_file):
        """Of both parts, each with what to check; no secret is shown."""
        refusal = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret"}
        endpoint.on("POST", "/token", (401, refusal))
        endpoint.raw("GET", "/demo/?", (403, {}, ""))
        found = list(check_service(None, env_file, None))
        assert states(found) == {
            "Service": "ok",
            "Credentials": "failed",
            "Storage account": "failed",
        }
        assert "check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET" in found[1].advice
        assert "storage account's name and key" in found[2].advice
        assert "hidden" not in str(found)

    def test_a_service_that_does_not_answer_has_failed(self, endpoint, env_file):
        """And its credentials, which nobody could take, are not blamed."""
        refused = requests.ConnectionError("Connection refused")
        endpoint.on("GET", "", refused)
        found = list(check_service(None, env_file, None))
        assert states(found) == {"Service": "failed", "Storage account": "failed"}
        assert "it does not answer: Connection refused; start the service" in found[0].advice
        assert "file endpoint" in found[1].advice

    @pytest.mark.parametrize(
        ("options", "advice"),
        [
            (("--env-file", "missing.env"), "cannot be read"),
            (("--env-file", "a", "--state-dir", "b"), "give one"),
            (("--state-dir", "/proc/none"), "name another"),
            (("--profile", "nobody"), "BATCHAI_RECIPES_PROFILE_FILE"),
        ],
    )
    def test_without_a_connection_it_has_failed(self, options, advice, program):
        """And ends with 1, having checked the rest."""
        done = CliRunner().invoke(app, ["doctor", "--json", *options])
        found = {check["what"]: check for check in json.loads(done.stdout)}
        assert done.exit_code == 1
        assert found["Service"]["state"] == "failed"
        assert advice in found["Service"]["advice"]
        assert {"Python", "Disk", "MPI", "Containers", "CNTK"} <= set(found)


def test_lines_for_people(program, tmp_path):
    """One for each check, and its advice below; what is only missing is no failure."""
    done = CliRunner().invoke(app, ["doctor", "--state-dir", str(tmp_path / "state")])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert "missing  MPI: mpirun is not on the PATH" in lines
    after = lines[lines.index("missing  MPI: mpirun is not on the PATH") + 1]
    assert after.strip().startswith("needed by jobs of Horovod")
    assert any(line.startswith("ok       Service: embedded, in ") for line in lines)
