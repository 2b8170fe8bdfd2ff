"""Values of the field: coremasks, lists of ids, sizes, MAC addresses, releases of SPP. Each error names the mistake."""

import re
from collections.abc import Iterable
from typing import Literal

_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]+)")
_SIZE = re.compile(r"([0-9]{1,12})\s*([kKmMgG]?)(?:i?[bB])?")
_MIB = {"": 1.0, "k": 1 / 1024, "m": 1.0, "g": 1024.0}


def parse_mask(text: str) -> int:
    """A coremask or portmask as EAL reads it: hexadecimal, with or without 0x. ``10`` is 0x10. ValueError else."""
    match = _HEX.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a hexadecimal mask")
    return int(match[1], 16)


def mask(bits: Iterable[int]) -> int:
    """The mask with these bits set."""
    value = 0
    for bit in bits:
        value |= 1 << bit
    return value


def bits(value: int) -> list[int]:
    """The bits set in ``value``, lowest first."""
    return [bit for bit in range(value.bit_length()) if value >> bit & 1]


def format_mask(value: int) -> str:
    """``0x03``, ``0x300``: as SPP's guides write masks."""
    return f"0x{value:02X}"


def parse_ids(text: str) -> list[int]:
    """``1``, ``1-3``, ``1,3`` and mixtures, in the order given, each once. ValueError where it is something else."""
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
    """A size in MiB: ``512``, ``512M``, ``2G``. A bare number is MiB, as SPP's ``--socket-mem``. ValueError else."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 512, 512M or 2G")
    size = int(match[1]) * _MIB[match[2].lower()]
    if size != int(size):
        raise ValueError(f"{text!r} is not a whole number of MiB")
    return int(size)


def mac_of(kind: int, vm_id: int, index: int) -> str:
    """MAC of a VM's NIC, locally administered and valid for every id 0..255: ``02:ad:be:KIND:ID:INDEX`` in hex.

    The launcher of 2017 wrote ids as decimal text into hex fields under the foreign OUI 00:AD:BE.
    """
    for name, value in (("kind", kind), ("vm id", vm_id), ("index", index)):
        if not 0 <= value <= 255:
            raise ValueError(f"{name} {value} does not fit into one byte of a MAC")
    return f"02:ad:be:{kind:02x}:{vm_id:02x}:{index:02x}"


def is_name(text: str) -> bool:
    """Whether tmux can target a session of this name: it reads ``.`` and ``:`` as separators. A server's, too."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,31}", text) is not None


#: In the order of release. HEAD: the source after the last release.
SppVersion = Literal[
    "auto", "16.07", "17.02", "17.05", "17.08", "17.11", "18.02", "18.05",
    "18.08.1", "18.08.2", "18.08.3", "18.08.4", "19.08", "19.11", "HEAD",
]  # fmt: skip
