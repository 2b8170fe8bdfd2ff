"""The machine of a saved guest, which a resumed one must repeat: QEMU refuses a state with another set of devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sppr.qemu import devices


@dataclass(frozen=True)
class Handover:
    """What QEMU inherits from the process that becomes it.

    ``memory``: file descriptor of the saved memory, or of a copy that the guest shares with other processes.
    ``resume``: the socket of the second serial port. The guest reads the time and random numbers from it.
    ``control``: the socket of QMP.
    ``disk``: file descriptors of the image, for reading, and for reading and writing. QEMU opens the image for writing
        when the guest resumes. By then QEMU has dropped to its user, who may not open the image by its path.
    """

    memory: int
    resume: int
    control: int
    disk: tuple[int, int]

    @property
    def memory_file(self) -> Path:
        """Return the path at which QEMU opens the memory."""
        return Path(f"/proc/self/fd/{self.memory}")

    def drive(self, image_format: str, backing: Path, notes: tuple[str, str]) -> list[str]:
        """Return the QEMU arguments of the drive ``disk``.

        ``backing``: the qcow2 image below it. ``notes``: what a reader of the command line looks for: the path of the
        image, and the forwarded port. QEMU ignores them.
        """
        pairs = zip(self.disk, notes, strict=True)
        sets = [word for fd, note in pairs for word in ("-add-fd", devices.opts(fd=fd, set=1, opaque=note))]
        options: dict[str, str | Path] = {"backing.driver": "qcow2", "backing.file.filename": backing}
        drive = devices.opts(
            file="/dev/fdset/1", format=image_format, if_="none", id="disk", cache="writeback", discard="unmap",
            **options,
        )  # fmt: skip
        return [*sets, "-drive", drive]


def argv(
    machine: devices.Machine, drive: Sequence[str], console: devices.Device, resume: int, control: int
) -> list[str]:
    """Return the QEMU arguments of all devices of a state.

    ``drive``: the arguments of the drive ``disk``. ``console``: the first serial port. ``resume``, ``control``: as in
    ``Handover``.
    """
    return [
        *machine.argv(),
        *drive,
        "-device", devices.opts("virtio-blk-pci", id="disk0", drive="disk", addr="0x2"),
        *devices.RandomNumbers("0x3").argv(),
        *console.argv(),
        "-chardev", devices.opts("socket", id="resume", fd=resume),
        "-serial", "chardev:resume",
        "-chardev", devices.opts("socket", id="control-warm", fd=control),
        "-mon", devices.opts(chardev="control-warm", mode="control"),
    ]  # fmt: skip
