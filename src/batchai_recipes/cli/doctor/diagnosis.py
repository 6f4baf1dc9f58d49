"""What one check found."""

from typing import Literal, TypeAlias

from attrs import asdict, frozen

State: TypeAlias = Literal["ok", "missing", "failed"]
"""Works; is not there, which matters to some jobs alone; does not work and is needed."""


@frozen
class Diagnosis:
    """What one check found.

    Args:
        what: What was looked at.
        state: How it is.
        found: What was found, in a few words.
        advice: What to do; empty where there is nothing.
    """

    what: str
    state: State
    found: str
    advice: str = ""

    def document(self) -> dict[str, str]:
        """Return it as JSON has it.

        Example:
            >>> Diagnosis("GPUs", "missing", "none").document()
            {'what': 'GPUs', 'state': 'missing', 'found': 'none', 'advice': ''}
        """
        return asdict(self)
