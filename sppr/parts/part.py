"""Define a part of a lab: one process in one tmux pane, as a value that state.json keeps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sppr.tmux.pane import PaneFiles, Restart
from sppr.units import Start

#: ``Part.kind`` of a controller: ours (empty), spp.py and spp_vf.py up to 18.05, spp-ctl, and the CLI of spp-ctl.
CONTROLLERS = ("", "spp.py", "spp_vf.py", "spp-ctl", "cli")
Role = Literal["controller", "primary", "secondary", "vm_ring", "vm_vhost", "vm_normal"]


@dataclass(frozen=True)
class Part:
    """A process of a lab.

    ``name``, ``role``, ``id``: for example ``sec1``, ``secondary``, 1. A controller and the primary have no id.
    ``window``: the name of its tmux window.
    ``command``: the command line that the pane shows, short enough to edit.
    ``program``: the command line that the runscript executes in the end.
    ``depends_on``: names of the parts that must be ready before this part starts.
    ``server``: the process that serves the ports of a VM on the host: ``primary`` or ``nfv:1``.
    ``ports``: the ports of a VM on the host. Vhost ports need their ``sockets`` to listen before the VM starts.
    Ivshmem ports need their ``regions`` to exist.
    ``disk``, ``template``: the disk image of a VM, and its backing file.
    ``qmp``, ``console``: the QMP socket and the console log of a VM. SPP's CLI has a ``console``, too.
    ``ssh_port``: the TCP port of the host that is forwarded to the ssh server of a VM; 0: none.
    ``bridge``, ``tap``, ``ssh_address``: the bridge of a VM on a bridge (``vm.bridge``), its tap there, and its IPv6
    link-local address, at which the host reaches its ssh server.
    ``cpus``: the CPUs of the host to which a VM is pinned.
    ``restarts``: the maximal number of consecutive automatic restarts after failures; 0: no restart.
    ``restart_delay``: seconds before the first of them.
    ``kind``: of a secondary nfv, vf, mirror or pcap; of a VM ``ivshmem`` if a patched QEMU runs it; of a controller
    one of CONTROLLERS.
    ``control``: the address of the controller that the part is connected to, if it is not the first controller of the
    lab.
    ``upstream``: whether it is a program of upstream SPP.
    ``makes_sockets``: whether the VM listens on its ``sockets``, and its server connects to them.
    ``start``: of a VM: ``auto`` (resume from a saved state, or boot), ``warm`` (resume) or ``boot``.
    ``host``: its host, where the parts of a lab over several hosts are together; else empty.
    """

    name: str
    role: Role
    id: int | None
    window: str
    command: tuple[str, ...]
    program: tuple[str, ...]
    depends_on: tuple[str, ...] = ()
    server: str = ""
    ports: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    disk: str = ""
    template: str = ""
    qmp: str = ""
    console: str = ""
    ssh_port: int = 0
    bridge: str = ""
    tap: str = ""
    ssh_address: str = ""
    cpus: tuple[int, ...] = ()
    restarts: int = 0
    restart_delay: float = 1.0
    kind: str = ""
    control: str = ""
    upstream: bool = False
    makes_sockets: bool = False
    start: Start = "boot"
    host: str = ""

    @property
    def restart(self) -> Restart | None:
        """Return the restart policy of its pane, or None if it has none."""
        return Restart(self.restarts, self.restart_delay) if self.restarts else None

    def files(self, folder: Path) -> PaneFiles:
        """Return the files of its pane below ``folder``, the run directory of the session."""
        return PaneFiles(folder, self.name)

    @property
    def as_root(self) -> bool:
        """Return whether the pane of a user other than root runs it with sudo. QEMU never runs with sudo.

        DPDK needs root for hugepages and devices.
        """
        return self.role in ("primary", "secondary")

    @property
    def process(self) -> str:
        """Return the name of its process at the controller: ``primary``, ``nfv:1``; "" for a controller."""
        if self.role == "controller":
            return ""
        name = "primary" if self.role == "primary" else f"{self.kind if self.role == 'secondary' else 'nfv'}:{self.id}"
        return f"{self.host}/{name}" if self.host else name

    @property
    def is_vm(self) -> bool:
        """Return whether the part is a VM."""
        return self.role.startswith("vm_")


def secondary_name(secondary_id: int) -> str:
    """Return the name of a secondary: ``sec1``."""
    return f"sec{secondary_id}"


def serving_part(server: str) -> str:
    """Return the name of the part that ``Part.server`` refers to: ``primary`` -> ``pri``, ``nfv:1`` -> ``sec1``."""
    return "pri" if server == "primary" else secondary_name(int(server.removeprefix("nfv:")))


def vm_name(kind: str, vm_id: int) -> str:
    """Return the name of a VM, which is its window's name and its id: ``vm_r6``, ``vm_v11``."""
    return f"vm_{kind[0]}{vm_id}"
