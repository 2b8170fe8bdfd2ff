"""Plan the VMs of a lab: their ports, the servers of these ports, their disks and their identity. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sppr.config.chains import default_numbers, ports_needed, servers_by_via
from sppr.config.model import Config, Vm, VmRing, VmVhost
from sppr.errors import ConfigError
from sppr.host.facts import Facts
from sppr.host.network import bridge
from sppr.images.store import Kind
from sppr.lab.paths import LabPaths
from sppr.lab.plan.plan import Flags, guests_socket
from sppr.parts.part import Part, Role, serving_part, vm_name
from sppr.parts.spp_tree import local
from sppr.parts.vm import AnyKind, Machine
from sppr.qemu.devices import Accel, Confinement
from sppr.qemu.passt import OUTSIDE_FD
from sppr.qemu.qemu_2_3 import PatchedQemu
from sppr.run import which
from sppr.spp import names
from sppr.units import Start

#: Added to vm.ssh_port instead of the id, for VMs with id 0: the templates themselves, and other images.
_TEMPLATE_SSH: dict[AnyKind, int] = {"ring": 201, "vhost": 202, "normal": 203, "orig": 204}

_ROLES: dict[AnyKind, Role] = {"ring": "vm_ring", "vhost": "vm_vhost", "normal": "vm_normal", "orig": "vm_normal"}


@dataclass(frozen=True)
class VmOptions:
    """The options of run-vm.py that conf.yml does not have; see ``Machine``.

    ``image``: path and format of the image of ``-t orig``.
    """

    nics: int = 1
    graphic: bool = False
    makes_sockets: bool = False
    image: tuple[Path, str] | None = None


def accel(wanted: str, facts: Facts) -> Accel:
    """Return ``kvm`` if it is usable and ``wanted`` is not ``tcg``, otherwise ``tcg``."""
    return "kvm" if wanted != "tcg" and facts.kvm_usable() else "tcg"


class VmPlanner:
    """Planner of the VMs of one lab."""

    def __init__(
        self, config: Config, flags: Flags, facts: Facts, paths: LabPaths, options: VmOptions = VmOptions()
    ) -> None:
        self.config, self.flags, self.paths, self.options = config, flags, paths, options
        self.machine_id = facts.machine_id
        self.accel: Accel = accel(config.vm.accel, facts)
        self.ports_of_chains, self.servers_by_via = ports_needed(config), servers_by_via(config)
        nfvs = [s for s in config.secondaries[: flags.nof_sec] if s.type == "nfv"]
        self.nfv_ids = [s.id for s in nfvs]
        #: The machines of the VMs that were planned, by name.
        self.machines: dict[str, Machine] = {}
        self.vhost_clients = [f"nfv:{s.id}" for s in nfvs if s.vhost_client]

    def all(self) -> list[Part]:
        """Return the ring VMs, then the vhost VMs.

        With --template, return the templates themselves instead, one of each kind that is requested.
        """
        if self.flags.template:
            counts: tuple[tuple[Kind, int | None], ...] = (
                ("ring", self.flags.nof_ring),
                ("vhost", self.flags.nof_vhost),
            )
            return [self.vm(kind, TEMPLATE) for kind, count in counts if count]
        ring = [self.vm("ring", vm, n) for n, vm in enumerate(self.config.vms_ring[: self.flags.nof_ring])]
        vhost = [self.vm("vhost", vm, n) for n, vm in enumerate(self.config.vms_vhost[: self.flags.nof_vhost])]
        return [*ring, *vhost]

    def vm(self, kind: AnyKind, vm: Vm, index: int = 0, numbers: Sequence[int] | None = None) -> Part:
        """Return the part of one VM.

        ``index``: its index in its section of conf.yml. ``numbers``: numbers of its ports; None: those that conf.yml
        and the flags define.
        """
        name = vm_name(kind, vm.id)
        patched = kind == "ring" and self.paths.version.ivshmem
        numbers = () if patched else self._numbers(kind, vm) if numbers is None else numbers
        sock_dir = self.paths.sock_dir
        sockets = [names.vhost_socket(sock_dir, n) for n in numbers] if kind == "vhost" else []
        regions = [names.ivshmem_region(sock_dir, n) for n in numbers] if kind == "ring" else []
        server = self._server(kind, vm, index, numbers) if numbers else ""
        tap = self._tap(kind, vm)
        if tap is not None and patched:
            what = f"{name}: vm.bridge: {tap.bridge}, but the patched QEMU of SPP 16.07 has ring VMs without a bridge"
            raise ConfigError(what, hint="leave vm.bridge out, or start no ring VM: -nr 0")
        machine = self._machine(kind, vm, name, sockets, regions, tap)
        machine = replace(machine, makes_sockets=machine.makes_sockets or server in self.vhost_clients)
        self.machines[name] = machine
        command = [*self.paths.runscript("run-vm.py"), "-t", kind, "-i", str(vm.id)]
        if numbers and tuple(numbers) != default_numbers(vm.id, 1):
            command += ["-d", ",".join(map(str, numbers))]
        return Part(
            name=name,
            role=_ROLES[kind],
            id=vm.id,
            window=f"vm_{kind[0]}",
            command=(*command, *self.paths.flags()),
            program=tuple(self._patched_argv(machine) if patched else machine.argv()),
            depends_on=self._dependencies(kind, vm, server),
            server=server,
            ports=tuple(names.uid("ivshmem" if kind == "ring" else "vhost", n) for n in numbers),
            sockets=tuple(map(str, sockets)),
            regions=tuple(map(str, regions)),
            disk=str(machine.disk),
            template=str(self.paths.store.template(kind)) if self.paths.store and vm.id and kind != "orig" else "",
            qmp=str(machine.qmp),
            console=str(self.paths.run / f"{name}.log" if patched else machine.console),
            ssh_port=machine.ssh_port,
            bridge=tap.bridge if tap else "",
            tap=tap.name if tap else "",
            ssh_address=tap.address if tap else "",
            cpus=vm.cpus or (),
            makes_sockets=machine.makes_sockets,
            kind="ivshmem" if patched else "",
            start="boot" if patched or not vm.id else self._start(name, vm, machine),
        )

    def _tap(self, kind: AnyKind, vm: Vm) -> bridge.Tap | None:
        """Return the tap of a VM on the bridge of conf.yml. Templates are not on it, nor VMs without management NIC."""
        name = self.config.vm.bridge
        if name is None or not vm.id or not self.options.nics:
            return None
        return bridge.tap_of(name, self.machine_id, self.paths.run, f"{kind[0]}{vm.id}")

    def _start(self, name: str, vm: Vm, machine: Machine) -> Start:
        """Return how a VM starts. Raise ConfigError if it has to resume, but cannot."""
        start = vm.start or self.config.vm.start
        obstacle = machine.obstacle()
        if obstacle and start == "warm":
            raise ConfigError(f"{name}: start: warm, but {obstacle}", hint="set start: auto, and it boots")
        return "boot" if obstacle else start

    def _patched_argv(self, machine: Machine) -> list[str]:
        """Return the command line of a ring VM of SPP 16.07, without its device for shared memory.

        That device is known only when the VM starts, and is added then.
        """
        m, program = machine, self.config.spp.qemu or ""
        qemu = PatchedQemu(
            program=which(program) or program, name=m.hostname, disk=m.disk, memory=m.memory, cores=m.cores,
            accel=m.accel, qmp=m.qmp, mac=m.mac(), ssh_port=m.ssh_port, extra=m.extra,
        )  # fmt: skip
        return qemu.argv()

    def _dependencies(self, kind: AnyKind, vm: Vm, server: str) -> tuple[str, ...]:
        """Return the parts that must be ready first: the primary for a ring VM, its server for a vhost VM."""
        if not vm.id:
            return ()
        return (serving_part(server),) if kind == "vhost" and server else ("pri",)

    def _machine(
        self,
        kind: AnyKind,
        vm: Vm,
        name: str,
        sockets: Sequence[Path],
        regions: Sequence[Path],
        tap: bridge.Tap | None,
    ) -> Machine:
        settings, store = self.config.vm, self.paths.store
        disk, disk_format = Path("(no base image)"), "qcow2"
        if kind == "orig":
            assert self.options.image is not None
            disk, disk_format = self.options.image
        elif store is not None:
            disk = store.instance(kind, vm.id) if vm.id else store.template(kind)
        return Machine(
            kind=kind,
            id=vm.id,
            disk=disk,
            memory=vm.memory or settings.memory,
            cores=vm.cores or settings.cores,
            accel=self.accel,
            qmp=self.paths.run / f"{name}.qmp",
            console=self.paths.run / f"{name}.console",
            ssh_port=0 if tap else self._ssh_port(kind, vm.id),
            sockets=tuple(sockets),
            regions=tuple(regions),
            controller=self._controller() if vm.id and self.paths.version.accepts_guests else None,
            outside_fd=OUTSIDE_FD if settings.network == "open" and vm.id else None,
            bridge_fd=bridge.TAP_FD if tap else None,
            bridge_mac=tap.mac if tap else "",
            authorized_keys=self.paths.public_key,
            extra=settings.args if vm.args is None else vm.args,
            disk_format=disk_format,
            nics=self.options.nics,
            graphic=self.options.graphic,
            makes_sockets=self.options.makes_sockets,
            confinement=Confinement(self.paths.vm_user, self.paths.sandbox, qemu_9_2=self.paths.qemu_9_2),
        )

    def _controller(self) -> tuple[Path | str, int]:
        """Return the address to which QEMU connects for the guest, and the port that the guest connects to.

        The address is the unix socket of our controller for guests, or that of an upstream controller.
        """
        c = self.config.controller
        if self.paths.version.era == "sppr":
            return guests_socket(self.paths.run), c.sec_port
        return local(c.host), c.sec_port

    def _ssh_port(self, kind: AnyKind, vm_id: int) -> int:
        base = self.config.vm.ssh_port
        return base + (vm_id or _TEMPLATE_SSH[kind]) if base else 0

    def _numbers(self, kind: AnyKind, vm: Vm) -> tuple[int, ...]:
        if not vm.id or kind in ("normal", "orig") or (kind == "ring" and self.config.spp.dir is not None):
            return ()  # templates have no ports; upstream SPP has no ivshmem ports
        configured = vm.rings if isinstance(vm, VmRing) else vm.vhosts if isinstance(vm, VmVhost) else None
        if configured is not None:
            return configured
        count = self.flags.vhost_num if kind == "vhost" else 1
        if kind == "vhost" and set(default_numbers(vm.id, count)) <= set(self.flags.vdev_vhost):
            return default_numbers(vm.id, count)  # ports of the primary itself, which no chain can use
        return default_numbers(vm.id, max(count, self.ports_of_chains.get(vm_name(kind, vm.id), 0)))

    def _server(self, kind: AnyKind, vm: Vm, index: int, numbers: Sequence[int]) -> str:
        """Return the process that serves the ports of a VM.

        It is the secondary that conf.yml sets for the VM, else the ``via`` of its chain, else one of the secondaries in
        turn. Without secondaries it is the primary. The result is "" if the primary creates all these ports itself, as
        vdevs.
        """
        if kind == "vhost" and set(numbers) <= set(self.flags.vdev_vhost):
            return ""
        by_via = self.servers_by_via.get(vm_name(kind, vm.id))
        if vm.secondary is None and by_via in self.nfv_ids:
            return f"nfv:{by_via}"
        if vm.secondary is None:
            return f"nfv:{self.nfv_ids[index % len(self.nfv_ids)]}" if self.nfv_ids else "primary"
        if vm.secondary not in self.nfv_ids:
            what = f"VM {vm.id} needs secondary {vm.secondary}, which is not among the {len(self.nfv_ids)} that start"
            other = self.nfv_ids[0] if self.nfv_ids else 1
            raise ConfigError(what, hint=f"start more secondaries with -ns, or set another: secondary: {other}")
        return f"nfv:{vm.secondary}"


#: The settings of a VM that is the template itself.
TEMPLATE = Vm.model_construct(id=0)


def single_vm(
    config: Config,
    facts: Facts,
    paths: LabPaths,
    kind: AnyKind,
    vm_id: int,
    numbers: Sequence[int] | None,
    options: VmOptions = VmOptions(),
) -> tuple[Part, Machine]:
    """Return the part and the machine of one VM that is started by hand (runscripts/run-vm.py).

    Raise ConfigError if conf.yml has no such ring or vhost VM. A normal VM does not need to be in conf.yml.
    """
    section: Sequence[Vm] = config.vms_ring if kind == "ring" else config.vms_vhost
    planner = VmPlanner(config, Flags(nof_sec=len(config.secondaries)), facts, paths, options)
    if vm_id == 0 or kind == "orig":
        part = planner.vm(kind, TEMPLATE)
    elif kind == "normal":
        part = planner.vm(kind, Vm(id=vm_id))
    else:
        part = _of_section(planner, section, kind, vm_id, numbers, paths.conf)
    return part, planner.machines[part.name]


def _of_section(
    planner: VmPlanner, section: Sequence[Vm], kind: AnyKind, vm_id: int, numbers: Sequence[int] | None, conf: Path
) -> Part:
    for index, vm in enumerate(section):
        if vm.id == vm_id:
            return planner.vm(kind, vm, index, numbers)
    listed = ", ".join(str(vm.id) for vm in section) or "none"
    raise ConfigError(f"vms_{kind}: no VM {vm_id} in {conf}", hint=f"its ids are {listed}")
