"""Options that say what a session leaves when it ends."""

from enum import Enum
from typing import Annotated

import typer


class CleanUpWord(str, Enum):
    """When a session deletes what it made."""

    ALWAYS = "always"
    ON_SUCCESS = "on_success"
    NEVER = "never"


CleanUpOption = Annotated[
    CleanUpWord, typer.Option("--clean-up", help="When to delete what was made for the job.")
]
KeepOutputs = Annotated[
    bool, typer.Option("--keep-outputs", help="Leave the shares, with what is on them.")
]
