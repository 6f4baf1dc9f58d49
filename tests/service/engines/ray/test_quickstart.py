"""The quickstart on machines of Ray that do not see the share's directory, as on one machine."""

import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
# The loss and the errors of each epoch, and of the end.
COURSE = re.compile(r"Finished Epoch.* metric = \S+|Final Results: .*")


def quickstart(environment, models, *arguments):
    """Run it with its smallest data, and return what it printed and the files that it got."""
    command = [
        *(sys.executable, "-m", "batchai_recipes.cli", "quickstart", "--data", "digits"),
        *("--epochs", "1", "--models", str(models), *arguments),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    files = {
        str(path.relative_to(models)): path.stat().st_size
        for path in models.rglob("*")
        if path.is_file()
    }
    assert all(files.values())
    return done.stdout, set(files)


def test_the_quickstart_gives_what_it_gives_on_one_machine(new_service, in_ray_cluster, tmp_path):
    """Every file of the model, the same course of training, and nothing left of it anywhere."""
    pytest.importorskip("torch", reason="the quickstart trains with PyTorch here")
    plain = {n: v for n, v in os.environ.items() if not n.startswith(("AZURE_", "BATCHAI_"))}
    environment = {
        **plain,
        "BATCHAI_RECIPES_PROFILE_FILE": os.devnull,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": f"{in_ray_cluster.host},127.0.0.1",
    }
    local, files = quickstart(
        environment, tmp_path / "local", "--state-dir", str(tmp_path / "state")
    )
    with new_service(hidden=True) as service:
        printed, files_of_ray = quickstart(
            environment, tmp_path / "ray", "--env-file", str(service.env_file)
        )
        assert not any(path.is_file() for path in (service.state / "shares").rglob("*"))
    assert files_of_ray == files
    assert {"ConvNet_MNIST.onnx", "ConvNet_MNIST_0.pt"} <= files
    assert len(COURSE.findall(local)) == 2
    assert COURSE.findall(printed) == COURSE.findall(local)
