"""The VM sizes that Batch AI documented, to tell a typo from a size."""

import difflib
import warnings
from typing import Final, Literal, TypeAlias

from batchai_recipes.text import filled_text

VmPriority: TypeAlias = Literal["dedicated", "lowpriority"]

KNOWN_VM_SIZES: Final = frozenset(
    f"STANDARD_{name}"
    for name in (
        *("A1_V2", "A2_V2", "A4_V2", "A8_V2", "A2M_V2", "A4M_V2", "A8M_V2"),
        *("D1", "D2", "D3", "D4", "D11", "D12", "D13", "D14"),
        *("D1_V2", "D2_V2", "D3_V2", "D4_V2", "D5_V2"),
        *("D11_V2", "D12_V2", "D13_V2", "D14_V2", "D15_V2"),
        *("D2_V3", "D4_V3", "D8_V3", "D16_V3", "D32_V3", "D64_V3"),
        *("E2_V3", "E4_V3", "E8_V3", "E16_V3", "E32_V3", "E64_V3"),
        *("F1", "F2", "F4", "F8", "F16", "G1", "G2", "G3", "G4", "G5"),
        *("F2S_V2", "F4S_V2", "F8S_V2", "F16S_V2", "F32S_V2", "F64S_V2", "F72S_V2"),
        *("H8", "H16", "H8M", "H16M", "H16R", "H16MR"),
        *("NC6", "NC12", "NC24", "NC24R"),
        *("NC6S_V2", "NC12S_V2", "NC24S_V2", "NC24RS_V2"),
        *("NC6S_V3", "NC12S_V3", "NC24S_V3", "NC24RS_V3"),
        *("ND6S", "ND12S", "ND24S", "ND24RS", "NV6", "NV12", "NV24"),
    )
)
"""Sizes by their Azure names in upper case.

Source:
    Sizes for Linux virtual machines in Azure, 2018, without those that Batch AI did not support.
"""


def checked_vm_size(size: str) -> str:
    """Return a VM size; warn the caller of the builder's method that takes it of an unknown one.

    Args:
        size: The size by its Azure name.

    Raises:
        ConfigurationError: The size is empty.

    Example:
        >>> checked_vm_size("STANDARD_NC6")
        'STANDARD_NC6'
    """
    filled_text("The VM size", size, hint="name one such as 'STANDARD_NC6'")
    message = unknown_vm_size_message(size)
    if message:
        warnings.warn(message, UnknownVmSizeWarning, stacklevel=3)
    return size


class UnknownVmSizeWarning(UserWarning):
    """A cluster names a VM size that this library does not know; a service may still know it.

    Example:
        >>> import warnings
        >>> from batchai_recipes import ClusterBuilder
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore", UnknownVmSizeWarning)
        ...     cluster = ClusterBuilder("mycluster").vm_size("STANDARD_OF_MY_OWN")
        >>> cluster.size
        'STANDARD_OF_MY_OWN'
    """


def unknown_vm_size_message(size: str) -> str | None:
    """Say that a VM size is unknown, with the nearest known one; None when it is known.

    Args:
        size: The size as given; upper and lower case do not matter.

    Example:
        >>> unknown_vm_size_message("standard_nc6") is None
        True
        >>> unknown_vm_size_message("STANDARD_NC7")
        "VM size 'STANDARD_NC7' is not known here: did you mean 'STANDARD_NC6'?"
    """
    if size.upper() in KNOWN_VM_SIZES:
        return None
    nearest = difflib.get_close_matches(size.upper(), sorted(KNOWN_VM_SIZES), n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else "it is passed on as it is"
    return f"VM size {size!r} is not known here: {hint}"
