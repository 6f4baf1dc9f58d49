"""Counting GPUs."""

import pytest

from batchai_recipes.service.engines.gpus import visible_gpus


@pytest.fixture
def two_gpus(tmp_path):
    """A PATH with a driver's program that lists two GPUs."""
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\necho 'GPU 0: NVIDIA H100 (UUID: GPU-1)'\necho 'GPU 1: NVIDIA H100'\n"
    )
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}:/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("visible", "expected"),
    [({}, 2), ({"CUDA_VISIBLE_DEVICES": "1"}, 1), ({"CUDA_VISIBLE_DEVICES": ""}, 0)],
)
def test_what_the_driver_lists_is_counted_as_far_as_cuda_shows_it(two_gpus, visible, expected):
    """CUDA_VISIBLE_DEVICES limits the count."""
    assert expected == visible_gpus(two_gpus | visible)


def test_a_driver_that_fails_has_no_gpus(two_gpus, tmp_path):
    """As when the module is not loaded."""
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    assert visible_gpus(two_gpus) == 0
