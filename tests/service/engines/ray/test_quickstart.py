"""The quickstart on machines of Ray that do not see the share's directory, as on one machine."""

import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
# The loss and the errors of each epoch, and of the end.
COURSE = re.compile(r"Finished Epoch.* metric = \S+|Final Results: .*")


class Quickstart:
    """The quickstart with its smallest data, as it runs.

    Args:
        environment: Its variables.
        models: Where it puts the files that it gets.
        arguments: What else the command gets.
    """

    def __init__(self, environment, models, *arguments):
        command = [
            *(sys.executable, "-m", "batchai_recipes.cli", "quickstart", "--data", "digits"),
            *("--epochs", "1", "--models", str(models), *arguments),
        ]
        self._models = models
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self):
        """Let it run, until the block ends."""
        return self

    def __exit__(self, *_):
        """End it, if it has not ended."""
        self._process.kill()
        self._process.communicate()

    def end(self):
        """Wait for its end; return what it printed and the names of the files that it got."""
        stdout, stderr = self._process.communicate()
        assert (self._process.returncode, stderr) == (0, "")
        files = {
            str(path.relative_to(self._models)): path.stat().st_size
            for path in self._models.rglob("*")
            if path.is_file()
        }
        assert all(files.values())
        return stdout, set(files)


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
    state = ("--state-dir", str(tmp_path / "state"))
    with (
        Quickstart(environment, tmp_path / "local", *state) as on_one,
        new_service(hidden=True) as service,
        Quickstart(environment, tmp_path / "ray", "--env-file", str(service.env_file)) as on_ray,
    ):
        printed, files_of_ray = on_ray.end()
        assert not any(path.is_file() for path in (service.state / "shares").rglob("*"))
        local, files = on_one.end()
    assert files_of_ray == files
    assert {"ConvNet_MNIST.onnx", "ConvNet_MNIST_0.pt"} <= files
    assert len(COURSE.findall(local)) == 2
    assert COURSE.findall(printed) == COURSE.findall(local)
