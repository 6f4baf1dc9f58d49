"""Ending what a supervisor that was killed left behind."""

from batchai_recipes.service.engines.supervision.processes import (
    all_processes,
    boot_id,
    kill_all,
    stat_fields,
)
from batchai_recipes.service.engines.supervision.task_record import Reading


def kill_left_over(reading: Reading) -> None:
    """Kill what is left in the session of a task whose supervisor is gone.

    Args:
        reading: The record of the task.
    """
    main = reading.main
    if main is None or main["boot_id"] != boot_id():
        return
    leader = stat_fields(main["pid"])
    if leader is not None and int(leader[19]) != main["start_time"]:
        return  # another process has that id now, so nothing of the session is left
    kill_all([pid for pid, fields in all_processes() if int(fields[3]) == main["pid"]])
