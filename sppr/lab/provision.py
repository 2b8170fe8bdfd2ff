"""Puts spp_vm into a template while it is made: boots it once, installs, powers off. Nothing of the host is mounted.

The files go in as a second disk, a plain tar: fw_cfg gives a file out a page at a time, reading all before it anew
for each, which takes minutes for a program.
"""

import contextlib
import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sppr.deadline import Deadline
from sppr.errors import HostError, SpprError
from sppr.images.rootfs import GUEST
from sppr.qemu import parts
from sppr.qemu.serial import NoShell, Serial
from sppr.run import find_program
from sppr.spp.tree import OURS

#: What a template is given beside spp_vm.
FILES = ("install", "spp_vm-start", "spp_vm.service")
MEMORY = 256
#: Bytes that must be free where the template goes.
MARGIN = 64 << 20
#: A trimmed image is done in ten seconds under TCG; one of a user's may need a minute to come up.
SECONDS = 240.0
_UNPACK = (
    "unset HISTFILE; rm -rf /run/nf && mkdir -p /run/nf && tar -C /run/nf -xf /dev/vdb && cd /run/nf && sh ./install"
    " && cd / && sync"
)


@dataclass(frozen=True)
class Provisioner:
    """What a store is given to fill new templates with; ``program``: the spp_vm that was built."""

    accel: parts.Accel = "tcg"
    program: Path = OURS / "spp_vm"
    seconds: float = SECONDS

    def digest(self) -> str | None:
        """sha256 of the program that would go in; None where it is not built."""
        if not self.program.is_file():
            return None
        return hashlib.sha256(self.program.read_bytes()).hexdigest()

    def fill(self, overlay: Path, report: Callable[[str], None]) -> bool:
        """Install into a fresh overlay nobody else uses. False, with a reason told, where its console has no root
        shell: such an image is used as it is. Any other failure raises, and the overlay is of no use."""
        target = overlay.parent
        if (free := shutil.disk_usage(target).free) < MARGIN:
            # QEMU would stop the guest in the middle of a write, without a word.
            what = f"{target}: {free >> 20} MiB free; a template that is booted to put spp_vm in may take"
            raise HostError(f"{what} {MARGIN >> 20} (No space left on device)", hint=f"df -h {target}")
        deadline = Deadline(self.seconds)
        with _work(overlay.with_suffix(".nf.tmp")) as work:
            bundle(work / "files.tar", self.program)
            argv = self.argv(overlay, work / "files.tar")
            try:
                with Serial(argv, work / "console.log") as guest:
                    guest.wait_shell(deadline)
                    guest.run(_UNPACK, deadline)
                    guest.power_off(deadline)
            except NoShell as e:
                report(f"{overlay.name}: {e.what}; spp_vm is not put in")
                return False
            except SpprError as e:
                raise type(e)(f"putting spp_vm into a template failed: {e.what}", hint=e.hint) from e
        return True

    def argv(self, overlay: Path, files: Path) -> list[str]:
        """A machine with the overlay, the files, and its serial line on the terminal."""
        made: list[parts.Part] = [
            parts.Machine("sppr-template", MEMORY, 1, self.accel),
            parts.Disk(overlay),
            parts.Files(files),
            parts.Terminal(),
        ]
        return parts.argv(find_program(parts.QEMU), made)


@contextlib.contextmanager
def _work(folder: Path) -> Iterator[Path]:
    """A folder for a while, beside the overlay and swept with it where this process is killed."""
    folder.mkdir(0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bundle(target: Path, program: Path) -> None:
    """The tar that the guest unpacks, with the sums it checks."""
    files = {name: (GUEST / "nf" / name).read_bytes() for name in FILES}
    files["spp_vm"] = program.read_bytes()
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in {**files, "SHA256SUMS": sums.encode()}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755 if data.startswith((b"#!", b"\x7fELF")) else 0o644
            tar.addfile(entry, io.BytesIO(data))
