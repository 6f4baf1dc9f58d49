"""Tests of `batchai_recipes.trainer.idx`."""

import gzip
import struct

import pytest

from batchai_recipes.trainer.errors import DataError
from batchai_recipes.trainer.idx import read_idx_images, read_idx_labels

IMAGES = struct.pack(">4I", 0x0803, 2, 1, 3) + bytes([1, 2, 3, 253, 254, 255])
LABELS = struct.pack(">2I", 0x0801, 3) + bytes([7, 2, 1])
# Without the time, which would name the same test otherwise in each process.
COMPRESSED = gzip.compress(IMAGES, mtime=0)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_images_and_labels_are_read(tmp_path, pack):
    """Files are read whether they are compressed or not, whatever they are called."""
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.write_bytes(pack(IMAGES))
    labels.write_bytes(pack(LABELS))

    assert read_idx_images(images).tolist() == [[[1, 2, 3]], [[253, 254, 255]]]
    assert read_idx_labels(labels).tolist() == [7, 2, 1]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "too short"),
        (IMAGES[:15], "too short"),
        (LABELS + bytes(16), "it begins with 0x00000801, expected 0x00000803"),
        (b"<html>an error page, perhaps</html>", "it begins with 0x3c68746d"),
        (IMAGES[:-1], "2 x 1 x 3 bytes of images, but only 5 follow"),
        (IMAGES + b"\0", "2 x 1 x 3 bytes of images, but more follow"),
        (struct.pack(">4I", 0x0803, *[0xFFFFFFFF] * 3) + b"\0", "but only 1 follow"),
        (COMPRESSED[:-9], "end-of-stream"),
        (COMPRESSED[:-8] + bytes(8), "CRC check failed"),
        (COMPRESSED[:10] + b"\xff" * 20, "Error -3"),
        (gzip.compress(IMAGES[:-1], mtime=0), "only 5 follow"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, complaint):
    """What is not a whole IDX file of images is refused by name, with the reason."""
    file = tmp_path / "images"
    file.write_bytes(content)

    with pytest.raises(DataError) as refusal:
        read_idx_images(file)

    assert str(refusal.value).startswith(f"{file}: ")
    assert complaint in str(refusal.value)


def test_a_missing_file_is_named(tmp_path):
    """A file that is not there is an error of data, not of the operating system."""
    with pytest.raises(DataError, match=r"labels: No such file or directory$"):
        read_idx_labels(tmp_path / "labels")
