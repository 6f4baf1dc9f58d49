"""The sizes of virtual machines by their Azure names, with what each has.

Source:
    Sizes for Linux virtual machines in Azure, 2018, without those that Batch AI did not support.
"""

from typing import Final

from attrs import frozen


@frozen
class VmSize:
    """What a virtual machine of one size has.

    Args:
        name: Its Azure name, in upper case.
        family: Its family, as quotas name it.
        cores: How many virtual processors.
        memory_gib: How much memory, in GiB.
        gpus: How many GPUs.
    """

    name: str
    family: str
    cores: int
    memory_gib: float
    gpus: int = 0


_BY_FAMILY: Final[dict[str, dict[str, tuple[int, float, int]]]] = {
    "Av2": {
        "A1_V2": (1, 2, 0),
        "A2_V2": (2, 4, 0),
        "A4_V2": (4, 8, 0),
        "A8_V2": (8, 16, 0),
        "A2M_V2": (2, 16, 0),
        "A4M_V2": (4, 32, 0),
        "A8M_V2": (8, 64, 0),
    },
    "D": {
        "D1": (1, 3.5, 0),
        "D2": (2, 7, 0),
        "D3": (4, 14, 0),
        "D4": (8, 28, 0),
        "D11": (2, 14, 0),
        "D12": (4, 28, 0),
        "D13": (8, 56, 0),
        "D14": (16, 112, 0),
    },
    "Dv2": {
        "D1_V2": (1, 3.5, 0),
        "D2_V2": (2, 7, 0),
        "D3_V2": (4, 14, 0),
        "D4_V2": (8, 28, 0),
        "D5_V2": (16, 56, 0),
        "D11_V2": (2, 14, 0),
        "D12_V2": (4, 28, 0),
        "D13_V2": (8, 56, 0),
        "D14_V2": (16, 112, 0),
        "D15_V2": (20, 140, 0),
    },
    "Dv3": {f"D{n}_V3": (n, n * 4, 0) for n in (2, 4, 8, 16, 32, 64)},
    "Ev3": {f"E{n}_V3": (n, min(n * 8, 432), 0) for n in (2, 4, 8, 16, 32, 64)},
    "F": {f"F{n}": (n, n * 2, 0) for n in (1, 2, 4, 8, 16)},
    "FSv2": {f"F{n}S_V2": (n, n * 2, 0) for n in (2, 4, 8, 16, 32, 64, 72)},
    "G": {f"G{n}": (2**n, 28 * 2 ** (n - 1), 0) for n in (1, 2, 3, 4, 5)},
    "H": {
        "H8": (8, 56, 0),
        "H16": (16, 112, 0),
        "H8M": (8, 112, 0),
        "H16M": (16, 224, 0),
        "H16R": (16, 112, 0),
        "H16MR": (16, 224, 0),
    },
    "NC": {"NC6": (6, 56, 1), "NC12": (12, 112, 2), "NC24": (24, 224, 4), "NC24R": (24, 224, 4)},
    "NCv2": {
        "NC6S_V2": (6, 112, 1),
        "NC12S_V2": (12, 224, 2),
        "NC24S_V2": (24, 448, 4),
        "NC24RS_V2": (24, 448, 4),
    },
    "NCv3": {
        "NC6S_V3": (6, 112, 1),
        "NC12S_V3": (12, 224, 2),
        "NC24S_V3": (24, 448, 4),
        "NC24RS_V3": (24, 448, 4),
    },
    "ND": {
        "ND6S": (6, 112, 1),
        "ND12S": (12, 224, 2),
        "ND24S": (24, 448, 4),
        "ND24RS": (24, 448, 4),
    },
    "NV": {"NV6": (6, 56, 1), "NV12": (12, 112, 2), "NV24": (24, 224, 4)},
}

VM_SIZES: Final = {
    f"STANDARD_{name}": VmSize(f"STANDARD_{name}", family, *has)
    for family, sizes in _BY_FAMILY.items()
    for name, has in sizes.items()
}
"""The known sizes by name, in upper case."""


def vm_size(name: str) -> VmSize | None:
    """Return a size by its name, or None where it is not known.

    Args:
        name: Its Azure name; upper and lower case do not matter.

    Example:
        >>> vm_size("Standard_NC6")
        VmSize(name='STANDARD_NC6', family='NC', cores=6, memory_gib=56, gpus=1)
        >>> vm_size("STANDARD_D64_V3").memory_gib
        256
    """
    return VM_SIZES.get(name.upper())
