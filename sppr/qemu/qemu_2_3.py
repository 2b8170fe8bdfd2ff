"""The command line for the QEMU 2.3.0 that was patched for DPDK's ivshmem (spp-facts 8.2, 9): it knows none of the
options of today's, and no file that keeps what the console printed."""

from dataclasses import dataclass
from pathlib import Path

from sppr.qemu.devices import Accel, opts


@dataclass(frozen=True)
class Patched:
    """Its serial line and monitor share the terminal: Ctrl-A x ends it. The words of the shared memory go last."""

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
        forward = f"tcp:127.0.0.1:{self.ssh_port}-:22" if self.ssh_port else None
        words = [self.program, "-name", self.name, "-m", str(self.memory), "-smp", str(self.cores)]
        words += ["-enable-kvm", "-cpu", "host"] if self.accel == "kvm" else []
        words += ["-drive", opts(file=self.disk, format="qcow2", if_="virtio")]
        words += ["-display", "none", "-serial", "mon:stdio", "-qmp", f"unix:{self.qmp},server,nowait"]
        words += ["-netdev", opts("user", id="mgmt", restrict=True, hostfwd=forward)]
        words += ["-device", opts("virtio-net-pci", netdev="mgmt", mac=self.mac)]
        return [*words, *self.extra]
