"""A path on a file share, before it is known where a cluster mounts the share."""

from attrs import frozen


@frozen
class MountedPath:
    """A path on a file share that a job will see under the cluster's mount root.

    Args:
        share: The share's name.
        path: The path in the share, empty for the share itself.

    Example:
        >>> MountedPath("batchaiquickstart", "mnistcntksample")
        MountedPath(share='batchaiquickstart', path='mnistcntksample')
    """

    share: str
    path: str = ""
