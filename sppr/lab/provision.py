"""Puts spp_vm into a template while it is made: boots it once, installs, powers off. Nothing of the host is mounted.

The files go in as a second disk, a plain tar: fw_cfg gives a file out a page at a time, reading all before it anew
for each, which takes minutes for a program.
"""

import hashlib
import io
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sppr.config.model import Config
from sppr.deadline import Deadline
from sppr.errors import SpprError
from sppr.host import facts
from sppr.images.rootfs import GUEST
from sppr.lab.vms import accel
from sppr.qemu import parts
from sppr.qemu.serial import NoShell, Serial
from sppr.run import find_program
from sppr.spp.tree import OURS

#: What a template is given beside spp_vm.
FILES = ("install", "spp_vm-start", "spp_vm.service")
MEMORY = 256
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
        deadline = Deadline(self.seconds)
        with tempfile.TemporaryDirectory(prefix="sppr-nf-") as folder:
            work = Path(folder)
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


def of(config: Config) -> Provisioner:
    """As conf.yml wants templates to be filled."""
    return Provisioner(accel(config.vm.accel, facts.read()))


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
