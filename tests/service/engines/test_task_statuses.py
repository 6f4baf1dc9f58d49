"""What became of tasks, where it is hard to tell."""

import os
import subprocess

from batchai_recipes.service.engines.engine import TaskKey
from batchai_recipes.service.engines.supervision.processes import process_identity
from batchai_recipes.service.engines.supervision.task_record import TaskRecord
from batchai_recipes.service.engines.task_statuses import TaskStatuses


def test_a_supervisor_that_ends_just_now_needs_no_signal(tmp_path):
    """Whoever terminates its task is not held up."""
    key = TaskKey("job", "uid", "process-0")
    statuses = TaskStatuses(lambda *_: tmp_path)
    ended = subprocess.Popen(["true"])
    ended.wait()
    # Locked, as by one that lives, and yet with the id of a process that is gone.
    identity = {**process_identity(os.getpid()), "pid": ended.pid}
    record = TaskRecord.claim(statuses.record(key), identity)

    statuses.terminate(key)
    os.close(record._descriptor)
