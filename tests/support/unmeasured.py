"""Programs that tests interrupt, which run without coverage.

Where greenlets are measured too, coverage.py asks a dictionary that is written in Python at each
step of a program, and takes whatever that raises for "not there" (`CTracer_set_pdata_stack` in its
release 7). The exception of a signal that arrives just then is lost, and the program goes on.
"""

from collections.abc import Mapping


def unmeasured(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment whose programs are not measured.

    Args:
        environment: The environment.
    """
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("COVERAGE_PROCESS_")
    }
