"""`batchai-recipes doctor`: what works here, and what to do about the rest."""

import sys
from typing import Final

import typer

from batchai_recipes.cli.connecting import EnvFile, ProfileName, StateDir
from batchai_recipes.cli.console import AsJson, say, show_json
from batchai_recipes.cli.doctor.diagnosis import Diagnosis, State
from batchai_recipes.cli.doctor.installation import check_packages, check_python
from batchai_recipes.cli.doctor.machine import (
    check_cntk,
    check_containers,
    check_disk,
    check_gpus,
    check_mpi,
    check_pytorch,
)
from batchai_recipes.cli.doctor.service import check_service
from batchai_recipes.cli.exit_code import ExitCode

_COLOURS: Final[dict[State, str]] = {"ok": "green", "missing": "yellow", "failed": "red"}


def doctor(
    *,
    as_json: AsJson = False,
    profile: ProfileName = None,
    env_file: EnvFile = None,
    state_dir: StateDir = None,
) -> None:
    """Check Python, the service, credentials and what jobs can use, and say what to do.

    Ends with 1 when something that is needed does not work. What is only missing, such as a GPU,
    is needed by some jobs alone.
    """
    checks = (
        check_python,
        check_packages,
        lambda: check_disk(state_dir),
        lambda: check_service(profile, env_file, state_dir),
        check_gpus,
        check_mpi,
        check_containers,
        check_pytorch,
        check_cntk,
    )
    found: list[Diagnosis] = []
    for check in checks:
        for diagnosis in check():
            found.append(diagnosis)
            if not as_json:
                _show(diagnosis)
    if as_json:
        show_json([diagnosis.document() for diagnosis in found])
    if any(diagnosis.state == "failed" for diagnosis in found):
        raise typer.Exit(ExitCode.FAILED)


def _show(diagnosis: Diagnosis) -> None:
    mark = f"{diagnosis.state:<7}"
    if sys.stdout.isatty():
        mark = typer.style(mark, fg=_COLOURS[diagnosis.state])
    say(f"{mark}  {diagnosis.what}: {diagnosis.found}")
    if diagnosis.advice:
        say(f"         {diagnosis.advice}")
