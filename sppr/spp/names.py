"""Names in SPP: ports (``ring:3``), processes (``primary``, ``nfv:1``), EAL devices and vhost sockets.

Standard library only; nothing here reads or changes the machine.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

PORT_TYPES = ("phy", "vhost", "ring", "pcap", "nullpmd", "tap", "memif", "ivshmem", "probe", "link", "pipe")
#: Ids of secondaries in the newest SPP. 0 is refused, because it is spp-ctl's key for the primary
#: (docs/spp-protocol.md, Client id).
FIRST_ID, LAST_ID = 1, 127

#: Types that have queues, phy:0nq1, or channels, link:0nq102. A regular expression.
QUEUE_TYPES = "phy|link"

# Numbers have at most 3 digits, because SPP's name buffers hold no more (docs/spp-protocol.md, Port names).
_NUMBER = r"(?:0|[1-9][0-9]{0,2})"
_UID = rf"(?:{'|'.join(PORT_TYPES)}):{_NUMBER}|(?:{QUEUE_TYPES}):{_NUMBER}nq{_NUMBER}"
_KINDS = ("nfv", "sec")


@dataclass(frozen=True)
class Target:
    """The process that a command is for: ``Target("primary")``, ``Target("nfv", 3)``, or ``Target("sec", 3)`` for a
    secondary of any type."""

    kind: str
    client_id: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "primary" else f"{self.kind}:{self.client_id}"


PRIMARY = Target("primary")


def check_uid(text: object) -> str:
    """Return ``text`` if it is the name of a port: ``ring:3``, ``phy:0nq1``. Raise ValueError otherwise.

    Upstream SPP crashes on a malformed name.
    """
    if not isinstance(text, str) or re.fullmatch(_UID, text) is None:
        raise ValueError(f"{text!r} is not a port: write TYPE:NUMBER with TYPE one of {' '.join(PORT_TYPES)}")
    return text


def is_ethdev_number(text: object) -> bool:
    """Return whether ``text`` can be a port in a classic ``patch 0 2``.

    Classic SPP names ports by the number that its status shows (docs/spp-protocol.md, Classic commands).
    """
    return isinstance(text, str) and re.fullmatch(r"[0-9]{1,3}", text) is not None


def check_id(text: str) -> int:
    """Return the id of a secondary from decimal text. Raise ValueError if it is not valid."""
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not FIRST_ID <= int(text) <= LAST_ID:
        raise ValueError(f"{text!r} is not the id of a secondary: {FIRST_ID} to {LAST_ID}")
    return int(text)


def parse_target(text: str) -> Target:
    """Parse ``primary`` or ``nfv:3``. Raise ValueError for anything else."""
    if text == "primary":
        return PRIMARY
    kind, _, number = text.partition(":")
    if kind not in _KINDS:
        raise ValueError(f"{text!r} names no process: write primary or nfv:ID")
    return Target(kind, check_id(number))


def printable(text: str, limit: int = 200) -> str:
    """Return text from a process in a form that is safe to print: one line without control characters, at most
    ``limit`` long."""
    clean = "".join(c if c.isprintable() else " " for c in text[: limit + 1]).strip()
    return clean if len(clean) <= limit else clean[:limit] + "..."


_TAP_VDEV = r"net_tap(\d+),(?:.*,)?iface=([^,]+)"
_VHOST_VDEV = r"(?:net|eth)_vhost\d+,(?:.*,)?iface=([^,]+)"


def uid(kind: str, number: int) -> str:
    """Return the name of a port: ``vhost:11``."""
    return f"{kind}:{number}"


def vhost_socket(sock_dir: str, number: int) -> Path:
    """Return the path of the socket of ``vhost:N``: sockN, as in SPP, which uses /tmp."""
    return Path(sock_dir) / f"sock{number}"


def ivshmem_region(sock_dir: str, number: int) -> Path:
    """Return the path of the memory that ``ivshmem:N`` shares with a VM.

    This port type is sppr's own; the file lies beside the vhost sockets.
    """
    return Path(sock_dir) / f"ivshmem{number}"


def null_vdev(number: int, old_names: bool) -> str:
    """Return the EAL device of ``nullpmd:N``. ``old_names``: use the names of DPDK 16.07."""
    return f"{'eth' if old_names else 'net'}_null{number}"


def tap_vdev(number: int) -> str:
    """Return the EAL device of ``tap:N``. Its kernel interface is vtapN."""
    return f"net_tap{number},iface=vtap{number}"


def is_nic(vdev: str) -> bool:
    """Return whether the primary names an EAL device ``phy:N``, as a NIC: its driver has no port type."""
    return re.match(r"(net|eth)_(tap|null|pcap|vhost|memif|af_packet)\d", vdev) is None


def link_vdev(number: int, interface: str) -> str:
    """Return the EAL device of ``link:N``, which takes an interface of the kernel."""
    return f"net_af_packet{number},iface={interface}"


def link_channel(number: int, vlan: int) -> str:
    """Return the port of a chain at ``link:N``: it sends in this VLAN (docs/dataplane.md, Links)."""
    return f"link:{number}nq{vlan}"


def with_link_name(port: str, links: Mapping[str, str]) -> str:
    """Return a port as a chain names it: ``link:east-west/2`` for ``link:0nq2``. Other ports stay as they are.

    ``links``: the name of each link by its port, ``{"link:0": "east-west"}``.
    """
    whole, _, vlan = port.rpartition("nq")
    if whole in links:
        return f"link:{links[whole]}/{vlan}"
    return f"link:{links[port]}" if port in links else port


def tap_interfaces(program: Sequence[str]) -> dict[str, str]:
    """Return the TAP interfaces that a primary with this command line creates: ``tap:0`` -> name of the interface."""
    values = [value for option, value in pairwise(program) if option == "--vdev"]
    values += [word.removeprefix("--vdev=") for word in program if word.startswith("--vdev=")]
    found = (re.match(_TAP_VDEV, value) for value in values)
    return {uid("tap", int(match[1])): match[2] for match in found if match}


def vhost_vdev(sock_dir: str, number: int, old_names: bool = False) -> str:
    """Return the EAL device of ``vhost:N``. ``old_names``: use the names of DPDK 16.07."""
    return f"{'eth' if old_names else 'net'}_vhost{number},iface={vhost_socket(sock_dir, number)},queues=1"


def vdev_socket(vdev: str) -> Path | None:
    """Return the socket that a vhost device of the primary creates, or None for any other device."""
    match = re.match(_VHOST_VDEV, vdev)
    return Path(match[1]) if match and "client=1" not in vdev else None
