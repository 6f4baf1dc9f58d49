"""Input and output directories of a job."""

from attrs import frozen

from batchai_recipes.staging.mounted_path import MountedPath


@frozen
class InputDirectory:
    """A directory that a job reads, seen by it as ``$AZ_BATCHAI_INPUT_<id>``.

    Args:
        id: The id, part of the variable's name.
        path: A path on the node or on a mounted share.
    """

    id: str
    path: str | MountedPath


@frozen
class OutputDirectory:
    """A directory that a job writes, seen by it as ``$AZ_BATCHAI_OUTPUT_<id>``.

    Args:
        id: The id, part of the variable's name.
        suffix: The last part of the path.
        prefix: Where the job's output begins; None for the cluster's first mount.
    """

    id: str
    suffix: str | None = None
    prefix: str | MountedPath | None = None
