"""Ending what a supervisor that was killed left behind."""

import logging
import subprocess

from batchai_recipes.service.engines.supervision.cgroups import Cgroup
from batchai_recipes.service.engines.supervision.processes import (
    all_processes,
    boot_id,
    kill_all,
    stat_fields,
)
from batchai_recipes.service.engines.supervision.task_record import Reading

_PATIENCE_SECONDS = 60.0

_logger = logging.getLogger(__name__)


def kill_left_over(reading: Reading) -> None:
    """Kill what is left of a task whose supervisor is gone.

    Where it has a control group that is all of it. Otherwise what stayed in its session can be
    found; what detached itself, the parent of the supervisors kills, as long as it lives.

    Args:
        reading: The record of the task.
    """
    main = reading.main
    if main is None:
        return
    if main.get("remove_container"):
        _remove_container(*main["remove_container"])
    if main["boot_id"] != boot_id():
        return
    if main["cgroup"]:
        Cgroup(main["cgroup"]).end()
    leader = stat_fields(main["pid"])
    if leader is not None and int(leader[19]) != main["start_time"]:
        return  # another process has that id now, so nothing of the session is left
    kill_all([pid for pid, fields in all_processes() if int(fields[3]) == main["pid"]])


def _remove_container(command: list[str], environment: dict[str, str]) -> None:
    """Kill and remove a container; one that its runtime does not remove is in the service's log."""
    try:
        done = subprocess.run(  # noqa: S603  # as the supervisor would have run it
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        _logger.warning("%s failed: %s", " ".join(command), error)
        return
    if done.returncode != 0 and "no such container" not in done.stderr.lower():
        _logger.warning("%s failed: %s", " ".join(command), done.stderr.strip())
