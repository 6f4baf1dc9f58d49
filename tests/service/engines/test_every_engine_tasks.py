"""What every engine does with tasks that misbehave, or that are killed from outside."""

import os
import signal
from pathlib import Path

from batchai_recipes.service.engines.engine import TaskKey

KEY = TaskKey("job", "uid", "process-0")


def test_a_process_tree_that_is_killed(engine, a_family, end_of, processes):
    """Ends the task as killed, and says by whom it was not."""
    task, pids = a_family
    engine.launch(task)
    family = pids()
    for pid in family:
        os.kill(pid, signal.SIGKILL)
    status = end_of(engine)
    assert (status.reason, status.exit_code) == ("exited", 137)
    assert status.message == "it was killed by SIGKILL, which this service did not send"
    assert all(processes.is_gone(pid) for pid in family)


def test_a_main_process_that_is_killed(engine, a_family, end_of, processes):
    """The rest goes with it, daemons too."""
    task, pids = a_family
    engine.launch(task)
    family = pids()
    os.kill(family[0], signal.SIGKILL)
    assert end_of(engine).exit_code == 137
    assert all(processes.is_gone(pid) for pid in family)


def test_a_hundred_megabytes_of_log(engine, new_task, end_of, output):
    """Every byte arrives."""
    engine.launch(new_task("exec head -c 100000000 /dev/zero"))
    assert end_of(engine).exit_code == 0
    assert (output / "stdout.txt").stat().st_size == 100_000_000


def test_a_task_has_no_file_but_its_own(engine, new_task, end_of, output):
    """Standard input, output and error, whatever the service has open."""
    look = (
        "import os\n"
        "for number in range(1000):\n"
        "    try: print(number, os.readlink(f'/proc/self/fd/{number}'))\n"
        "    except OSError: pass"
    )
    with Path(os.devnull).open() as opened:
        os.set_inheritable(opened.fileno(), True)
        engine.launch(new_task(f'exec python3 -I -S -c "{look}"'))
        end_of(engine)
    files = {"0": os.devnull, "1": f"{output}/stdout.txt", "2": f"{output}/stderr.txt"}
    lines = (output / "stdout.txt").read_text().splitlines()
    assert files == dict(line.split() for line in lines)


def test_a_crowd_of_daemons(engine, new_task, end_of, output, processes):
    """Fifty of them, forked twice, each in a session of its own: none is left."""
    script = output.parent / "daemons.py"
    script.write_text(
        "import os, sys\n"
        "for _ in range(50):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        "            print(os.getpid(), flush=True)\n"
        "            os.execvp('sleep', ['sleep', '1000'])\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "while len(open(sys.argv[1]).readlines()) < 50:\n"
        "    os.sched_yield()\n"
    )
    engine.launch(new_task(f"exec python3 {script} {output}/stdout.txt"))
    assert end_of(engine).exit_code == 0
    pids = [int(line) for line in (output / "stdout.txt").read_text().split()]
    assert len(pids) == 50
    assert all(processes.is_gone(pid) for pid in pids)


def test_processes_that_fork_faster_than_they_can_be_counted(engine, new_task, end_of, fifo):
    """They are ended all the same when the task runs out of time."""
    path, line = fifo
    bomb = "import os, time\nwhile True:\n    os.fork() or time.sleep(0.02) or os._exit(0)"
    command = f'echo up > {path}; for i in 1 2 3; do python3 -c "{bomb}" & done; wait'
    engine.launch(new_task(command, grace_seconds=0.1))
    line()
    engine.terminate(KEY)
    assert end_of(engine).reason == "terminated"
