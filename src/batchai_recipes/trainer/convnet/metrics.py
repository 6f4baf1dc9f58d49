"""How far a training is: a line for people, and a file of records for programs."""

import json
from pathlib import Path
from typing import Any, Dict, List

from .whole_file import whole_file

METRICS_FILE = "metrics.jsonl"

Record = Dict[str, Any]


def record_of(epoch: int, samples: int, loss_sum: float, errors: int, seconds: float) -> Record:
    """Return the record of an epoch.

    Args:
        epoch: Which epoch it is, from 1.
        samples: How many samples it learned.
        loss_sum: The sum of the losses of all samples.
        errors: How many were taken for another digit while they were learned.
        seconds: How long it took.

    Example:
        >>> record_of(1, 200, 100.0, 5, 0.5)["error"]
        0.025
    """
    return {
        "epoch": epoch,
        "samples": samples,
        "loss": loss_sum / samples,
        "error": errors / samples,
        "rate": samples / seconds,
        "seconds": seconds,
    }


def epoch_line(record: Record, epochs: int) -> str:
    """Return the line that reports an epoch, as CNTK's progress printer words it.

    Args:
        record: What :func:`record_of` gave.
        epochs: How many epochs there will be.

    Example:
        >>> epoch_line(record_of(1, 60000, 12345.6, 1926, 7.125), 2).partition(" = ")[2]
        '0.205760 * 60000, metric = 3.21% * 60000 7.125s (8421.1 samples/s)'
    """
    line = (
        "Finished Epoch[{epoch} of {epochs}]: [Training] loss = {loss:.6f} * {samples}, "
        "metric = {percent:.2f}% * {samples} {seconds:.3f}s ({rate:.1f} samples/s)"
    )
    return line.format(epochs=epochs, percent=100 * record["error"], **record)


def write_metrics(folder: Path, records: List[Record]) -> None:
    """Write ``metrics.jsonl``, one line of JSON per epoch.

    Args:
        folder: The folder for it.
        records: What :func:`record_of` gave for each epoch so far.

    Raises:
        OSError: The file cannot be written.
    """
    with whole_file(folder / METRICS_FILE) as temporary:
        lines = [json.dumps(record, sort_keys=True) + "\n" for record in records]
        temporary.write_text("".join(lines))
