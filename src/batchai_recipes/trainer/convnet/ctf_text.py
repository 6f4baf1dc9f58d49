"""Reading CNTK's text format, at the speed of a few passes over the bytes."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Iterator, List, Optional, Tuple  # noqa: F401 -- in comments

import numpy as np

from .errors import InputError
from .samples import CLASSES, PIXELS, Samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

BRIGHTEST = 255
TOO_BRIGHT = 999

# Lines are read in blocks of about this many bytes: small enough for the processor's cache.
BLOCK_BYTES = 1 << 20
# A line of 794 numbers is far shorter; anything longer is no line of text.
LONGEST_LINE = 1 << 20


def read_ctf(path: Path) -> Samples:
    """Read a file of labelled images in CNTK's text format.

    Args:
        path: The file. Each line is ``|labels`` with ten numbers, a single 1 among 0s, and
            ``|features`` with 784 numbers, in either order.

    Returns:
        The samples in the order of the file; the images are bytes where all grey levels are whole
        numbers from 0 to 255.

    Raises:
        InputError: The file cannot be read, or a line of it is not of that form.
    """
    images = []  # type: List[NDArray[Any]]
    labels = []  # type: List[NDArray[Any]]
    line = 1
    try:
        with path.open("rb") as file:
            for block in _blocks_of_lines(file, path):
                samples = _parse_regular(block)
                if samples is None:
                    samples = _parse_lines(block, path, line)
                images.append(samples.images)
                labels.append(samples.labels)
                line += block.count(b"\n")
    except OSError as error:
        raise InputError("{}: {}".format(path, error.strerror or error)) from None
    if not any(len(some) for some in labels):
        raise InputError("{}: the file holds no samples".format(path))
    return Samples(np.concatenate(images), np.concatenate(labels))


def _blocks_of_lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    lines_before = 0
    while True:
        block = file.read(BLOCK_BYTES)
        if not block:
            return
        if not block.endswith(b"\n"):
            rest = file.readline(LONGEST_LINE)
            if len(rest) == LONGEST_LINE and not rest.endswith(b"\n"):
                number = lines_before + block.count(b"\n") + 1
                raise InputError("{}, line {}: no end of the line found".format(path, number))
            block += rest
        if not block.endswith(b"\n"):
            block += b"\n"
        lines_before += block.count(b"\n")
        yield block


def _parse_regular(block: bytes) -> Optional[Samples]:
    """Parse lines as data preparation writes them; None for lines that need a closer look."""
    text = np.frombuffer(block, dtype=np.uint8).copy()
    line_ends = np.flatnonzero(text == ord("\n"))
    fields = _blank_names(text, line_ends)
    if fields is None:
        return None
    last, values = _small_numbers(text)
    rows, per_row = len(line_ends), CLASSES + PIXELS
    expected = per_row * np.arange(1, rows + 1)
    # How many numbers stand before the end of each line, and before its second field.
    before_end = np.searchsorted(last, line_ends)
    before_features = np.searchsorted(last, fields[1::2])
    if (before_end != expected).any() or (before_features != expected - PIXELS).any():
        return None
    table = values.reshape(rows, per_row)
    choice, images = table[:, :CLASSES], table[:, CLASSES:]
    if (choice.max(1) != 1).any() or (choice.sum(1) != 1).any() or images.max() > BRIGHTEST:
        return None
    return Samples(images.astype(np.uint8), choice.argmax(1).astype(np.int64))


def _blank_names(text: "NDArray[Any]", line_ends: "NDArray[Any]") -> Optional["NDArray[Any]"]:
    """Overwrite names and line ends by spaces; return where fields began, None if not as usual."""
    fields = np.flatnonzero(text == ord("|"))
    if len(fields) != 2 * len(line_ends):
        return None
    for starts, name in ((fields[0::2], b"|labels "), (fields[1::2], b"|features ")):
        if starts[-1] + len(name) > len(text):
            return None
        where = starts[:, np.newaxis] + np.arange(len(name))
        if (text[where] != np.frombuffer(name, dtype=np.uint8)).any():
            return None
        text[where] = ord(" ")
    text[line_ends] = ord(" ")
    return fields


def _small_numbers(text: "NDArray[Any]") -> Tuple["NDArray[Any]", "NDArray[Any]"]:
    """Find the whole numbers between spaces: where each ends, and its value.

    Each is found by its last digit and may have three, so that a few passes over the bytes do and
    no loop over the numbers. Whatever is not of that kind gets a value that no image has.
    """
    is_digit = (text - ord("0")) <= 9  # noqa: PLR2004 -- bytes below "0" wrap round to above 9
    last = np.flatnonzero(is_digit[:-1] & ~is_digit[1:])
    # The block began with the name of a field, so every number has spaces before it.
    has_tens = is_digit[last - 1]
    has_hundreds = is_digit[last - 2] & has_tens
    digits = text & 15
    values = digits[last].astype(np.uint16)
    values += digits[last - 1] * has_tens * 10
    values += (digits[last - 2] * has_hundreds).astype(np.uint16) * 100
    values[is_digit[last - 3] & has_hundreds] = TOO_BRIGHT
    if not (is_digit | (text == ord(" "))).all():
        values[:] = TOO_BRIGHT
    return last, values


def _parse_lines(block: bytes, path: Path, first_line: int) -> Samples:
    images = []  # type: List[NDArray[Any]]
    labels = []  # type: List[int]
    for number, line in enumerate(block.split(b"\n"), start=first_line):
        if not line.strip():
            continue
        try:
            image, label = _parse_line(line.decode("ascii", "backslashreplace"))
        except ValueError as error:
            raise InputError("{}, line {}: {}".format(path, number, error)) from None
        images.append(image)
        labels.append(label)
    if not images:
        return Samples(np.empty((0, PIXELS), dtype=np.uint8), np.empty(0, dtype=np.int64))
    return Samples(np.stack(images), np.array(labels, dtype=np.int64))


def _parse_line(line: str) -> Tuple["NDArray[Any]", int]:
    fields = {}
    # What stands before the first bar is the number of a sequence, which means nothing here.
    for field in line.split("|")[1:]:
        name, *values = field.split() or [""]
        if name.startswith("#"):
            continue
        if name in fields:
            raise ValueError("the field |{} stands there twice".format(_short(name)))
        fields[name] = values
    parsed = []
    for name, count in (("labels", CLASSES), ("features", PIXELS)):
        if name not in fields:
            raise ValueError("the field |{} is missing".format(name))
        if len(fields[name]) != count:
            message = "{} values in |{}, expected {}"
            raise ValueError(message.format(len(fields[name]), name, count))
        parsed.append(np.array([_number(text) for text in fields[name]], dtype=np.float32))
    choice, image = parsed
    if (np.sort(choice) != np.array([0] * (CLASSES - 1) + [1])).any():
        raise ValueError("the values in |labels are not a single 1 and otherwise 0")
    return image, int(choice.argmax())


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("{} is not a number".format(_short(repr(text)))) from None
    if not math.isfinite(number):
        raise ValueError("{} is not a finite number".format(text))
    return number


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:27] + "..."  # noqa: PLR2004 -- fits a line
