"""What goes wrong while data are prepared.

::

    DataError                   the data cannot be used, or not be prepared here
    └── DataUnavailableError    the data are not here and cannot be fetched
"""


class DataError(Exception):
    """Data cannot be used or prepared; the text says which file, why, and what to do."""


class DataUnavailableError(DataError):
    """Data are not on this machine, and no mirror gave them."""
