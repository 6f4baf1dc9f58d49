"""Ending what a supervisor that was killed left behind."""

from batchai_recipes.service.engines.supervision.cgroups import Cgroup
from batchai_recipes.service.engines.supervision.processes import (
    all_processes,
    boot_id,
    kill_all,
    stat_fields,
)
from batchai_recipes.service.engines.supervision.task_record import Reading


def kill_left_over(reading: Reading) -> None:
    """Kill what is left of a task whose supervisor is gone.

    Where it has a control group that is all of it. Otherwise what stayed in its session can be
    found; what detached itself, the parent of the supervisors kills, as long as it lives.

    Args:
        reading: The record of the task.
    """
    main = reading.main
    if main is None or main["boot_id"] != boot_id():
        return
    if main["cgroup"]:
        Cgroup(main["cgroup"]).end()
    leader = stat_fields(main["pid"])
    if leader is not None and int(leader[19]) != main["start_time"]:
        return  # another process has that id now, so nothing of the session is left
    kill_all([pid for pid, fields in all_processes() if int(fields[3]) == main["pid"]])
