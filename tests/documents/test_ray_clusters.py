"""The configurations of Ray clusters that the manual has."""

import re
from pathlib import Path

import pytest
import yaml

PAGE = Path(__file__).parents[2] / "docs/ray_clusters.md"


@pytest.fixture
def blocks():
    """The blocks of YAML."""
    return [
        yaml.safe_load(b) for b in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    ]


@pytest.mark.ray
def test_rays_launcher_takes_the_one_for_azure(blocks):
    """Its own check, which asks no cloud."""
    util = pytest.importorskip("ray.autoscaler._private.util")
    config = blocks[0]
    util.validate_config(util.prepare_config(config))
    with pytest.raises(Exception, match="is not valid|Additional properties"):
        util.validate_config({**config, "max_wrokers": 8})


def test_the_one_for_kubernetes_is_whole(blocks):
    """All machines have the same image, which starts Ray; and the head has no room for nodes."""
    spec = blocks[1]["spec"]
    head, (workers,) = spec["headGroupSpec"], spec["workerGroupSpecs"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    containers = [group["template"]["spec"]["containers"][0] for group in (head, workers)]
    assert len({container["image"] for container in containers}) == 1
    assert all("$KUBERAY_GEN_RAY_START_CMD" in container["args"][0] for container in containers)
