"""One volume of a cluster or a job, as a folder of this machine."""

from attrs import Factory, frozen

from batchai_recipes.service.engines.engine import Mount
from batchai_recipes.service.mount_options import MountOptions
from batchai_recipes.service.scheduling.remote_volume import RemoteVolume


class VolumeError(Exception):
    """A volume cannot be mounted, or not be copied.

    Args:
        code: Batch AI's error code.
        message: What is wrong and what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def refusal(path: str, problem: str) -> VolumeError:
    """Describe that a volume cannot be mounted.

    Args:
        path: Its relative mount path.
        problem: What is wrong and what to do.
    """
    return VolumeError("ShareMountFailed", f"The volume for {path!r} cannot be mounted: {problem}")


@frozen
class Volume:
    """A volume.

    Args:
        mount: What the engine mounts.
        remote: What it is a copy of, if it is one.
        options: How its user wants it mounted.
    """

    mount: Mount
    remote: RemoteVolume | None = None
    options: MountOptions = Factory(MountOptions)

    @property
    def notes(self) -> tuple[str, ...]:
        """What its user should know."""
        return tuple(
            f"volume {self.mount.relative_path!r}: the mount option {option!r} has no meaning here"
            for option in self.options.ignored
        )
