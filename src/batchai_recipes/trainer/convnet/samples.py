"""Labelled images, as every part of the program passes them on."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 28
PIXELS = SIDE * SIDE
CLASSES = 10


class Samples:
    """Images with what they show.

    Args:
        images: One row of 784 grey levels, 0 to 255, per image.
        labels: The digit, 0 to 9, of each image.
    """

    def __init__(self, images: "NDArray[Any]", labels: "NDArray[Any]") -> None:
        self.images = images
        self.labels = labels

    def __len__(self) -> int:
        """Return how many images there are."""
        return len(self.labels)
