"""Test KVM by booting a boot sector: on some machines /dev/kvm opens, but guests hang."""

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

#: Time limit of the boot. It takes 0.1 s on a CPU with virtualisation; where KVM itself is emulated, it took 3.4 s or
#: never ended.
SECONDS = 2.0
#: Does what a Linux kernel does: page tables at 0x1000, CR3, PAE, EFER.LME, paging on, a jump to 64 bit code, a loop of
#: 65536 writes to memory. Then it writes 0x10 to port 0xf4 (isa-debug-exit), and QEMU exits with status 33.
_BOOT_SECTOR = bytes.fromhex(
    "fa31c08ed88ec08ed0bf0010b90018fcf3ab66c70600100320000066c70600200330000066c70600308300000066b8001000000f22d8"
    "66b8200000000f22e066b9800000c00f32660d000100000f3066b8010000800f22c00f0116907cea627c0800bf00800000b900000100"
    "31c001c88907e2fab010e6f4f4ebfd0f1f440000000000000000000000000000009a20000f00807c0000"
)
_BOOTED = 0x10 << 1 | 1
_CACHE = ".kvm.json"


def guest_boots(boot_id: str, accel: str = "kvm", cpu: str = "host") -> bool:
    """Return whether a guest boots.

    The test runs once for each boot of this host and each QEMU. The result is cached in the folder of the sessions.
    """
    program = which(QEMU)
    if program is None:
        return False
    stat = Path(program).stat()
    key = f"{boot_id} {program} {stat.st_size} {stat.st_mtime_ns} {accel} {cpu}"
    cache = sessions_dir() / _CACHE
    results = _read(cache)
    if key not in results:
        results = {key: try_boot(accel, cpu)}
        _write(cache, results)
    return results[key]


def try_boot(accel: str, cpu: str, seconds: float = SECONDS) -> bool:
    """Boot once and return whether it succeeded. QEMU is killed after ``seconds``."""
    with tempfile.TemporaryDirectory(prefix="sppr-kvm-") as folder:
        image = Path(folder) / "boot.img"
        image.write_bytes(_BOOT_SECTOR.ljust(510, b"\0") + b"\x55\xaa")
        argv = [
            QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-m", "16",
            "-accel", accel, "-cpu", cpu, "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
            "-drive", f"file={image},format=raw,if=ide,snapshot=on",
        ]  # fmt: skip
        try:
            return run(argv, cwd=Path(folder), deadline=Deadline(seconds), check=False).returncode == _BOOTED
        except LaunchError:
            return False


def _read(cache: Path) -> dict[str, bool]:
    try:
        results = json.loads(cache.read_text())
    except (OSError, ValueError):
        return {}
    return results if isinstance(results, dict) and all(isinstance(v, bool) for v in results.values()) else {}


def _write(cache: Path, results: dict[str, bool]) -> None:
    """Write the file as a whole, because many processes may do so at once. On failure, the test runs again next
    time."""
    temporary = cache.with_name(f"{cache.name}.{os.getpid()}")
    with contextlib.suppress(OSError, HostError):
        make_private(cache.parent)
        temporary.write_text(json.dumps(results))
        temporary.rename(cache)
