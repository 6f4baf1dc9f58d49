"""Finds the network interface that has an address."""

import fcntl
import os
import socket
import struct
from typing import Final

_SIOCGIFADDR: Final = 0x8915  # of <linux/sockios.h>


def interface_of(address: str) -> str:
    """Find the network interface that has an address.

    Args:
        address: The address, IPv4.

    Returns:
        Its name, or nothing where there is none.

    Example:
        >>> interface_of("127.0.0.1"), interface_of("192.0.2.1")
        ('lo', '')
    """
    if address.startswith("127."):
        return "lo"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", os.fsencode(name)[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:
                continue  # it has none
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return ""
