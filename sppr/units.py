"""Values of this field: coremasks, lists of ids, sizes, MAC addresses, releases of SPP. Errors name the mistake."""

import re
from collections.abc import Iterable
from typing import Literal

#: How a VM starts: resume from a saved state where that is possible, resume or fail, boot.
Start = Literal["auto", "warm", "boot"]

_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]+)")
_SIZE = re.compile(r"([0-9]{1,12})\s*([kKmMgG]?)(?:i?[bB])?")
_MIB = {"": 1.0, "k": 1 / 1024, "m": 1.0, "g": 1024.0}


def parse_mask(text: str) -> int:
    """Parse a coremask or portmask as EAL does: hexadecimal, with or without 0x, so ``10`` is 0x10. Raise
    ValueError."""
    match = _HEX.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a hexadecimal mask")
    return int(match[1], 16)


def mask(bits: Iterable[int]) -> int:
    """Return the mask in which these bits are set."""
    value = 0
    for bit in bits:
        value |= 1 << bit
    return value


def bits(value: int) -> list[int]:
    """Return the bits that are set in ``value``, the lowest first."""
    return [bit for bit in range(value.bit_length()) if value >> bit & 1]


def format_mask(value: int) -> str:
    """Return a mask in the format of SPP's guides: ``0x03``, ``0x300``."""
    return f"0x{value:02X}"


def parse_ids(text: str) -> list[int]:
    """Parse ``1``, ``1-3``, ``1,3`` and combinations. Each id is returned once, in the given order. Raise
    ValueError."""
    ids: list[int] = []
    for piece in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?", piece)
        if match is None:
            raise ValueError(f"{text!r} is not a list of ids such as 1, 1-3 or 1,3")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ValueError(f"{piece.strip()!r} counts down")
        if last > 4095:
            raise ValueError(f"{last} is too large for an id")
        ids += [i for i in range(first, last + 1) if i not in ids]
    return ids


def parse_mib(text: str) -> int:
    """Parse a size in MiB: ``512``, ``512M``, ``2G``. A bare number is in MiB, as in SPP's ``--socket-mem``. Raise
    ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 512, 512M or 2G")
    size = int(match[1]) * _MIB[match[2].lower()]
    if size != int(size):
        raise ValueError(f"{text!r} is not a whole number of MiB")
    return int(size)


def mac_of(kind: int, vm_id: int, index: int) -> str:
    """Return the MAC address of a VM's NIC: ``02:ad:be:KIND:ID:INDEX`` in hex, locally administered, valid for ids 0 to
    255.

    The launcher of 2017 wrote decimal ids into hex fields, under the OUI 00:AD:BE of somebody else.
    """
    for name, value in (("kind", kind), ("vm id", vm_id), ("index", index)):
        if not 0 <= value <= 255:
            raise ValueError(f"{name} {value} does not fit into one byte of a MAC")
    return f"02:ad:be:{kind:02x}:{vm_id:02x}:{index:02x}"


def is_name(text: str) -> bool:
    """Return whether this can be the name of a tmux session or server. tmux uses ``.`` and ``:`` as separators."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,31}", text) is not None


#: In order of release. HEAD is the source after the last release.
SppVersion = Literal[
    "auto", "16.07", "17.02", "17.05", "17.08", "17.11", "18.02", "18.05",
    "18.08.1", "18.08.2", "18.08.3", "18.08.4", "19.08", "19.11", "HEAD",
]  # fmt: skip


#: Shown if there is no number.
NO_NUMBER = "–"  # noqa: RUF001 - a dash, as in a table


def rate_text(frames: float | None) -> str:
    """Return frames per second as text: ``12.1 kpps``. None: a dash."""
    if frames is None:
        return NO_NUMBER
    for unit, size in (("Mpps", 1e6), ("kpps", 1e3)):
        if frames >= size:
            return f"{frames / size:.1f} {unit}"
    return f"{frames:.0f} pps"
