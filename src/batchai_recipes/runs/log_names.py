"""Which of a job's logs are meant."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final

from attrs import frozen

from batchai_recipes.errors import ConfigurationError

_WILDCARDS: Final = frozenset("*?[")
# What the service appends for the first process: PyTorch and Caffe2, then TensorFlow.
_FIRST_PROCESS: Final = ("", "-0", "-wk-0")


@frozen
class LogNames:
    """Names and patterns of logs.

    Args:
        names: The names; ``*``, ``?`` and ``[...]`` make one a pattern.
        alternatives: Whether the names are those that one log may have.

    Example:
        >>> logs = LogNames.of(["stdout*.txt", "execution.log"])
        >>> logs.among(["execution.log", "stderr-0.txt", "stdout-0.txt", "stdout-1.txt"])
        ['stdout-0.txt', 'stdout-1.txt', 'execution.log']
    """

    names: tuple[str, ...]
    alternatives: bool = False

    @classmethod
    def of(cls, names: Sequence[str]) -> "LogNames":
        """Return the names that a caller gave; without any, those of the standard output.

        Raises:
            ConfigurationError: A name is empty.
        """
        if "" in names:
            raise ConfigurationError("The name of a log is empty: name one, such as 'stdout.txt'")
        return cls(tuple(names)) if names else cls.first_process("stdout")

    @classmethod
    def first_process(cls, stream: str) -> "LogNames":
        """Return the names that a log of the job's first process may have.

        Args:
            stream: ``stdout`` or ``stderr``.
        """
        return cls(tuple(f"{stream}{suffix}.txt" for suffix in _FIRST_PROCESS), alternatives=True)

    @property
    def several(self) -> bool:
        """Whether more than one log may be meant."""
        patterns = any(_is_pattern(name) for name in self.names)
        return not self.alternatives and (len(self.names) > 1 or patterns)

    def among(self, present: Iterable[str]) -> list[str]:
        """Return those of some files that are meant, in the order in which they were named."""
        files = sorted(present)
        found = dict.fromkeys(
            file for name in self.names for file in files if file == name or fnmatchcase(file, name)
        )
        return list(found)[:1] if self.alternatives else list(found)

    def complete(self, found: Iterable[str]) -> bool:
        """Tell whether no other file than these can be meant."""
        known = set(found)
        if self.alternatives:
            return bool(known)
        return all(name in known and not _is_pattern(name) for name in self.names)

    def missing(self, found: Iterable[str]) -> list[str]:
        """Return the names, patterns left out, that are not among some files."""
        if self.alternatives:
            return [] if set(found) & set(self.names) else [self.names[0]]
        return [name for name in self.names if not _is_pattern(name) and name not in set(found)]


def _is_pattern(name: str) -> bool:
    return not _WILDCARDS.isdisjoint(name)
