"""Names that SPP uses: ports (``ring:3``), processes (``primary``, ``nfv:1``), EAL devices and vhost sockets.

Pure, standard library only.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

PORT_TYPES = ("phy", "vhost", "ring", "pcap", "nullpmd", "tap", "memif", "ivshmem", "probe", "pipe")
#: Secondary ids of the newest SPP. 0 is refused: spp-ctl keeps the primary under it (spp-facts 3.4).
FIRST_ID, LAST_ID = 1, 127

# Numbers have at most 3 digits: SPP's name buffers hold no more (spp-facts 4). Queues are written phy:0nq1.
_UID = re.compile(
    rf"(?:{'|'.join(PORT_TYPES)}):(?:0|[1-9][0-9]{{0,2}})|phy:(?:0|[1-9][0-9]{{0,2}})nq(?:0|[1-9][0-9]{{0,2}})"
)
_KINDS = ("nfv", "sec")


@dataclass(frozen=True)
class Target:
    """Whom a command is for: ``Target("primary")``, ``Target("nfv", 3)``, or ``Target("sec", 3)``, of whatever kind."""

    kind: str
    client_id: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "primary" else f"{self.kind}:{self.client_id}"


PRIMARY = Target("primary")


def check_uid(text: object) -> str:
    """``text`` if it names a port: ``ring:3``, ``phy:0nq1``. ValueError else: real SPP dies of a malformed one."""
    if not isinstance(text, str) or _UID.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a port: write TYPE:NUMBER with TYPE one of {' '.join(PORT_TYPES)}")
    return text


def is_ethdev_number(text: object) -> bool:
    """Whether ``text`` may be a port in a classic ``patch 0 2``: the number that status shows (spp-facts 3.2)."""
    return isinstance(text, str) and re.fullmatch(r"[0-9]{1,3}", text) is not None


def check_id(text: str) -> int:
    """A secondary's id from decimal text. ValueError else."""
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not FIRST_ID <= int(text) <= LAST_ID:
        raise ValueError(f"{text!r} is not the id of a secondary: {FIRST_ID} to {LAST_ID}")
    return int(text)


def parse_target(text: str) -> Target:
    """``primary`` or ``nfv:3``. ValueError else."""
    if text == "primary":
        return PRIMARY
    kind, _, number = text.partition(":")
    if kind not in _KINDS:
        raise ValueError(f"{text!r} names no process: write primary or nfv:ID")
    return Target(kind, check_id(number))


def printable(text: str, limit: int = 200) -> str:
    """What a process said, fit for a terminal: one line, no control characters, at most ``limit`` characters."""
    clean = "".join(c if c.isprintable() else " " for c in text[: limit + 1]).strip()
    return clean if len(clean) <= limit else clean[:limit] + "..."


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
