"""Whether guests come up in KVM here: tried with a boot sector, for /dev/kvm may open where they hang for ever."""

import contextlib
import json
import os
import tempfile
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import HostError, LaunchError
from sppr.host.run_directory import make_private, sessions_dir
from sppr.qemu.devices import QEMU
from sppr.run import run, which

#: Far more than a CPU that has virtualisation takes (0.1 s); where KVM itself is emulated it took 3.4 s, or for ever.
SECONDS = 2.0
#: Goes where a Linux kernel goes: page tables at 0x1000, CR3, PAE, EFER.LME, paging on, a jump into 64 bit code, a loop
#: of 65536 writes to memory; then writes 0x10 to port 0xf4 (isa-debug-exit), by which QEMU ends with status 33.
_BOOT_SECTOR = bytes.fromhex(
    "fa31c08ed88ec08ed0bf0010b90018fcf3ab66c70600100320000066c70600200330000066c70600308300000066b8001000000f22d8"
    "66b8200000000f22e066b9800000c00f32660d000100000f3066b8010000800f22c00f0116907cea627c0800bf00800000b900000100"
    "31c001c88907e2fab010e6f4f4ebfd0f1f440000000000000000000000000000009a20000f00807c0000"
)
_CAME_UP = 0x10 << 1 | 1
_CACHE = ".kvm.json"


def boots(boot_id: str, accel: str = "kvm", cpu: str = "host") -> bool:
    """Whether a guest comes up. Tried once a boot of this host and a QEMU; kept in the folder of the sessions."""
    program = which(QEMU)
    if program is None:
        return False
    stat = Path(program).stat()
    key = f"{boot_id} {program} {stat.st_size} {stat.st_mtime_ns} {accel} {cpu}"
    cache = sessions_dir() / _CACHE
    known = _read(cache)
    if key not in known:
        known = {key: attempt(accel, cpu)}
        _write(cache, known)
    return known[key]


def attempt(accel: str, cpu: str, seconds: float = SECONDS) -> bool:
    """One boot, killed at the deadline."""
    with tempfile.TemporaryDirectory(prefix="sppr-kvm-") as folder:
        image = Path(folder) / "boot.img"
        image.write_bytes(_BOOT_SECTOR.ljust(510, b"\0") + b"\x55\xaa")
        argv = [
            QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-m", "16",
            "-accel", accel, "-cpu", cpu, "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
            "-drive", f"file={image},format=raw,if=ide,snapshot=on",
        ]  # fmt: skip
        try:
            return run(argv, cwd=Path(folder), deadline=Deadline(seconds), check=False).returncode == _CAME_UP
        except LaunchError:
            return False


def _read(cache: Path) -> dict[str, bool]:
    try:
        found = json.loads(cache.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and all(isinstance(v, bool) for v in found.values()) else {}


def _write(cache: Path, known: dict[str, bool]) -> None:
    """Whole or not at all: twenty may do this at once. A folder that cannot be written costs another try, no more."""
    temporary = cache.with_name(f"{cache.name}.{os.getpid()}")
    with contextlib.suppress(OSError, HostError):
        make_private(cache.parent)
        temporary.write_text(json.dumps(known))
        temporary.rename(cache)
