"""What a toolkit is: the settings of a job, turned into processes on its nodes."""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import Factory, frozen


class ToolkitError(Exception):
    """The settings cannot be run; the message says why and what to do."""


@frozen
class ToolkitJob:
    """What a toolkit needs to know of a job.

    Args:
        settings: The job's settings for this toolkit, as sent over the wire.
        node_count: How many nodes it runs on.
        interpreter: The Python to use where the settings name none.
    """

    settings: Mapping[str, Any]
    node_count: int
    interpreter: str


@frozen
class Process:
    """One process of a job.

    Args:
        node_index: The node it runs on, counted from the master, which is 0.
        command_line: What a shell on the node runs.
        program: Its program where that has a path; the folder of it comes first on ``PATH``.
        environment: Variables of this process alone.
    """

    node_index: int
    command_line: str
    program: str
    environment: Mapping[str, str] = Factory(dict)


Toolkit = Callable[[ToolkitJob], tuple[Process, ...]]
"""Makes the processes of a job, its master's first. Raises ToolkitError."""
