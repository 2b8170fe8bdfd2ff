"""The command line of QEMU 2.3.0 with the patch for DPDK's ivshmem (docs/spp-protocol.md, Ring VMs of 16.07).

This QEMU lacks the options of current releases, and it cannot write the console to a file.
"""

from dataclasses import dataclass
from pathlib import Path

from sppr.qemu.devices import Accel, opts


@dataclass(frozen=True)
class PatchedQemu:
    """A virtual machine of the patched QEMU. Serial port and monitor share the terminal; Ctrl-A x ends QEMU.

    ``extra``: the words of the shared memory, which come last.
    """

    program: str
    name: str
    disk: Path
    memory: int
    cores: int
    accel: Accel
    qmp: Path
    mac: str
    ssh_port: int
    extra: tuple[str, ...] = ()

    def argv(self) -> list[str]:
        """Return the command line."""
        forward = f"tcp:127.0.0.1:{self.ssh_port}-:22" if self.ssh_port else None
        words = [self.program, "-name", self.name, "-m", str(self.memory), "-smp", str(self.cores)]
        words += ["-enable-kvm", "-cpu", "host"] if self.accel == "kvm" else []
        words += ["-drive", opts(file=self.disk, format="qcow2", if_="virtio")]
        words += ["-display", "none", "-serial", "mon:stdio", "-qmp", f"unix:{self.qmp},server,nowait"]
        words += ["-netdev", opts("user", id="mgmt", restrict=True, hostfwd=forward)]
        words += ["-device", opts("virtio-net-pci", netdev="mgmt", mac=self.mac)]
        return [*words, *self.extra]
