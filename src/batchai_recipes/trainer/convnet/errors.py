"""What can go wrong in a training.

::

    TrainingError       the training cannot go on
    `-- InputError      something given to the program cannot be used
"""


class TrainingError(Exception):
    """The training cannot go on; the text is one line for the person who started it."""

    exit_code = 1


class InputError(TrainingError):
    """Something given to the program cannot be used."""

    exit_code = 2
