"""What tests interrupt is not measured, since a signal could be lost then."""

import os
import subprocess
import sys

import pytest
from unmeasured import unmeasured


@pytest.mark.parametrize(("change", "expected"), [(dict, "True"), (unmeasured, "False")])
def test_a_program_that_is_to_be_interrupted_is_not_measured(tmp_path, change, expected):
    """However coverage was asked to measure it."""
    pytest.importorskip("coverage")
    (tmp_path / "cov.rc").write_text("[run]\nparallel = true\n")
    environment = {**os.environ, "COVERAGE_PROCESS_START": str(tmp_path / "cov.rc")}
    environment.pop("COVERAGE_PROCESS_CONFIG", None)
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print('coverage' in sys.modules)"],
        env=change(environment),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == f"{expected}\n"
