"""The service's log on standard error: one line per event, made of ``name=value``.

A value with spaces or quotes is written as a JSON string. Values are those of requests, jobs and
clusters by their names and ids; nothing secret is ever passed to a logger.
"""

import json
import logging
import time
from typing import Final

FIELDS: Final = {"fields": True}
"""The ``extra`` of a record whose message is itself made of ``name=value``."""


def start_log(level: int) -> None:
    """Write what this process logs to standard error from now on.

    Args:
        level: The least level that is written, as ``logging.INFO``.
    """
    # No line tells of threads, processes or lines of code, so nothing need look for them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001  # as logging's own manual says
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level, handlers=[handler])


class LineFormatter(logging.Formatter):
    """Writes a record as one line; a traceback follows on lines of its own.

    Example:
        >>> record = logging.LogRecord("jobs", logging.INFO, "", 0, "%s", ("over",), None)
        >>> record.created = 0.25
        >>> LineFormatter().format(record)
        'time=1970-01-01T00:00:00.250Z level=INFO logger=jobs message="over"'
    """

    def __init__(self) -> None:
        super().__init__()
        self._second = -1
        self._second_text = ""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record.

        Args:
            record: The record.
        """
        message = record.getMessage()
        if not getattr(record, "fields", False):
            message = f"message={json.dumps(message, ensure_ascii=False)}"
        line = (
            f"time={self._time(record.created)} level={record.levelname} logger={record.name} "
            f"{message}"
        )
        if record.exc_info:
            return f"{line}\n{self.formatException(record.exc_info)}"
        return line

    def _time(self, created: float) -> str:
        second = int(created)
        if second != self._second:
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._second_text}.{int((created - second) * 1000):03d}Z"
