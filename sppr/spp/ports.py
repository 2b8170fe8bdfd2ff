"""Names of ports, devices and sockets as SPP writes them."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

_TAP_VDEV = re.compile(r"net_tap(\d+),(?:.*,)?iface=([^,]+)")
_VHOST_VDEV = re.compile(r"(?:net|eth)_vhost\d+,(?:.*,)?iface=([^,]+)")


def uid(kind: str, number: int) -> str:
    """``vhost:11``."""
    return f"{kind}:{number}"


def vhost_socket(sock_dir: str, number: int) -> Path:
    """Where ``vhost:N`` listens: /tmp/sockN, as SPP names it."""
    return Path(sock_dir) / f"sock{number}"


def ivshmem_region(sock_dir: str, number: int) -> Path:
    """Memory that ``ivshmem:N`` shares with a VM: a port type of ours, beside the vhost sockets."""
    return Path(sock_dir) / f"ivshmem{number}"


def null_vdev(number: int, first: bool) -> str:
    """EAL device of ``nullpmd:N``. ``first``: as DPDK 16.07 calls it."""
    return f"{'eth' if first else 'net'}_null{number}"


def tap_vdev(number: int) -> str:
    """EAL device of ``tap:N``, whose kernel interface is vtapN."""
    return f"net_tap{number},iface=vtap{number}"


def tap_interfaces(program: Sequence[str]) -> dict[str, str]:
    """Return the taps that a command line of a primary makes: ``tap:0`` -> the name of its interface."""
    values = [value for option, value in pairwise(program) if option == "--vdev"]
    values += [word.removeprefix("--vdev=") for word in program if word.startswith("--vdev=")]
    found = (_TAP_VDEV.match(value) for value in values)
    return {uid("tap", int(match[1])): match[2] for match in found if match}


def vhost_vdev(sock_dir: str, number: int, first: bool = False) -> str:
    return f"{'eth' if first else 'net'}_vhost{number},iface={vhost_socket(sock_dir, number)},queues=1"


def vdev_socket(vdev: str) -> Path | None:
    """The socket a vhost device of the primary will make, None for any other device."""
    match = _VHOST_VDEV.match(vdev)
    return Path(match[1]) if match and "client=1" not in vdev else None
