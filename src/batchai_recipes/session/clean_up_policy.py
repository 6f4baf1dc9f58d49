"""What of a session's resources is deleted when it ends, and what stays."""

from typing import Final, Literal, TypeAlias, get_args

from attrs import field, frozen

from batchai_recipes.errors import ConfigurationError
from batchai_recipes.session.made import Made

CleanUp: TypeAlias = Literal["always", "on_success", "never"]
"""When a session deletes what it made: at every end, only after a success, or never."""

_WORDS: Final = get_args(CleanUp)


def _checked(word: CleanUp) -> CleanUp:
    if word not in _WORDS:
        known = ", ".join(map(repr, _WORDS))
        raise ConfigurationError(f"{word!r} is no clean-up policy: use one of {known}")
    return word


@frozen
class CleanUpPolicy:
    """Says what stays when a session ends.

    Args:
        when: ``always`` deletes at every end; ``on_success`` keeps everything when the block, or
            entering it, ended with an exception (an interruption too); ``never`` keeps everything.
        keep_outputs: Whether a file share that the session made stays in any case, with the jobs'
            outputs on it.

    Raises:
        ConfigurationError: `when` is another word.

    Example:
        >>> policy = CleanUpPolicy("on_success")
        >>> group = Made("resource group", ["g"])
        >>> policy.keeps(group, succeeded=True), policy.keeps(group, succeeded=False)
        (False, True)
    """

    when: CleanUp = field(default="always", converter=_checked)
    keep_outputs: bool = False

    def keeps(self, made: Made, *, succeeded: bool) -> bool:
        """Tell whether something stays.

        Args:
            made: What the session made.
            succeeded: Whether the session's block ended without an exception.
        """
        if self.when == "never" or (self.when == "on_success" and not succeeded):
            return True
        return self.keep_outputs and made.kind == "file share"
