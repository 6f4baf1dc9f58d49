"""Finds the network interface that has an address, and the network that it is in."""

import fcntl
import os
import socket
import struct
from ipaddress import ip_interface
from typing import Final

# Of <linux/sockios.h>.
_SIOCGIFADDR: Final = 0x8915
_SIOCGIFNETMASK: Final = 0x891B
_ALONE: Final = 32


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
            if _ask(probe, _SIOCGIFADDR, name) == address:
                return name
    return ""


def network_of(address: str) -> str:
    """Find the network that an address of this machine is in, for Open MPI.

    Args:
        address: The address, IPv4.

    Returns:
        The network, as Open MPI takes it; nothing where the address is on no interface.

    Example:
        >>> network_of("127.0.0.1"), network_of("192.0.2.1")
        ('127.0.0.0/8', '')
    """
    name = interface_of(address)
    if not name:
        return ""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        network = ip_interface(f"{address}/{_ask(probe, _SIOCGIFNETMASK, name)}").network
    # Open MPI takes a network of a single address for all that there are.
    return str(network.supernet() if network.prefixlen == _ALONE else network)


def _ask(probe: socket.socket, what: int, interface: str) -> str:
    """Ask the kernel for an address of an interface; it may have none."""
    request = struct.pack("256s", os.fsencode(interface)[:15])
    try:
        answer = fcntl.ioctl(probe.fileno(), what, request)
    except OSError:
        return ""
    return socket.inet_ntoa(answer[20:24])
