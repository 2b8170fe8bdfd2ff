"""The part of a plan that is VMs: their ports, who serves them, disks, identity. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sppr.config.chains import default_numbers, ports_needed, servers_by_via
from sppr.config.model import Config, Vm, VmRing, VmVhost
from sppr.errors import ConfigError
from sppr.host.facts import Facts
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

#: Added to vm.ssh_port for the templates themselves, whose id is 0.
_TEMPLATE_SSH: dict[AnyKind, int] = {"ring": 201, "vhost": 202, "normal": 203, "orig": 204}

_ROLES: dict[AnyKind, Role] = {"ring": "vm_ring", "vhost": "vm_vhost", "normal": "vm_normal", "orig": "vm_normal"}


@dataclass(frozen=True)
class Shape:
    """What run-vm.py may ask for beyond conf.yml; see ``Machine``. ``image``: of -t orig, with its format."""

    nics: int = 1
    graphic: bool = False
    makes_sockets: bool = False
    image: tuple[Path, str] | None = None


def accel(wanted: str, facts: Facts) -> Accel:
    """KVM where it is usable and not refused, TCG else."""
    return "kvm" if wanted != "tcg" and facts.kvm_usable() else "tcg"


class VmPlanner:
    """Makes the VM parts of one lab."""

    def __init__(self, config: Config, flags: Flags, facts: Facts, paths: LabPaths, shape: Shape = Shape()) -> None:
        self.config, self.flags, self.paths, self.shape = config, flags, paths, shape
        self.accel: Accel = accel(config.vm.accel, facts)
        self.ports_of_chains, self.servers_by_via = ports_needed(config), servers_by_via(config)
        chosen = [s for s in config.secondaries[: flags.nof_sec] if s.type == "nfv"]
        self.running = [s.id for s in chosen]
        self.clients = [f"nfv:{s.id}" for s in chosen if s.vhost_client]

    def all(self) -> list[Part]:
        """Ring VMs, then vhost VMs; with --template the templates themselves, one of each kind that is asked for."""
        if self.flags.template:
            counts: tuple[tuple[Kind, int | None], ...] = (
                ("ring", self.flags.nof_ring),
                ("vhost", self.flags.nof_vhost),
            )
            return [self.one(kind, TEMPLATE) for kind, count in counts if count]
        ring = [self.one("ring", vm, n) for n, vm in enumerate(self.config.vms_ring[: self.flags.nof_ring])]
        vhost = [self.one("vhost", vm, n) for n, vm in enumerate(self.config.vms_vhost[: self.flags.nof_vhost])]
        return [*ring, *vhost]

    def one(self, kind: AnyKind, vm: Vm, place: int = 0, numbers: Sequence[int] | None = None) -> Part:
        """One VM; ``numbers``: of its ports where they differ from what conf.yml and the flags say."""
        name = vm_name(kind, vm.id)
        patched = kind == "ring" and self.paths.version.ivshmem
        numbers = () if patched else self._numbers(kind, vm) if numbers is None else numbers
        sock_dir = self.paths.sock_dir
        sockets = [names.vhost_socket(sock_dir, n) for n in numbers] if kind == "vhost" else []
        regions = [names.ivshmem_region(sock_dir, n) for n in numbers] if kind == "ring" else []
        server = self._server(kind, vm, place, numbers) if numbers else ""
        machine = self._machine(kind, vm, name, sockets, regions)
        machine = replace(machine, makes_sockets=machine.makes_sockets or server in self.clients)
        command = [*self.paths.runscript("run-vm.py"), "-t", kind, "-i", str(vm.id)]
        if numbers and tuple(numbers) != default_numbers(vm.id, 1):
            command += ["-d", ",".join(map(str, numbers))]
        return Part(
            name=name,
            role=_ROLES[kind],
            id=vm.id,
            window=f"vm_{kind[0]}",
            command=(*command, *self.paths.flags()),
            program=tuple(self._patched(machine) if patched else machine.argv()),
            depends_on=self._needs(kind, vm, server),
            server=server,
            ports=tuple(names.uid("ivshmem" if kind == "ring" else "vhost", n) for n in numbers),
            sockets=tuple(map(str, sockets)),
            regions=tuple(map(str, regions)),
            disk=str(machine.disk),
            template=str(self.paths.store.template(kind)) if self.paths.store and vm.id and kind != "orig" else "",
            qmp=str(machine.qmp),
            console=str(self.paths.run / f"{name}.log" if patched else machine.console),
            ssh_port=machine.ssh_port,
            cpus=vm.cpus or (),
            makes_sockets=machine.makes_sockets,
            kind="ivshmem" if patched else "",
        )

    def _patched(self, machine: Machine) -> list[str]:
        """A ring VM of SPP 16.07; what shares memory is known, and added, when it starts."""
        m, named = machine, self.config.spp.qemu or ""
        made = PatchedQemu(
            program=which(named) or named, name=m.hostname, disk=m.disk, memory=m.memory, cores=m.cores, accel=m.accel,
            qmp=m.qmp, mac=m.mac(), ssh_port=m.ssh_port, extra=m.extra,
        )  # fmt: skip
        return made.argv()

    def _needs(self, kind: AnyKind, vm: Vm, server: str) -> tuple[str, ...]:
        """A ring VM starts with the secondaries; a vhost VM when its socket's owner is there."""
        if not vm.id:
            return ()
        return (serving_part(server),) if kind == "vhost" and server else ("pri",)

    def _machine(self, kind: AnyKind, vm: Vm, name: str, sockets: Sequence[Path], regions: Sequence[Path]) -> Machine:
        settings, store = self.config.vm, self.paths.store
        disk, disk_format = Path("(no base image)"), "qcow2"
        if kind == "orig":
            assert self.shape.image is not None
            disk, disk_format = self.shape.image
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
            ssh_port=self._ssh_port(kind, vm.id),
            sockets=tuple(sockets),
            regions=tuple(regions),
            controller=self._controller() if vm.id and self.paths.version.accepts_guests else None,
            outside_fd=OUTSIDE_FD if settings.network == "open" and vm.id else None,
            authorized_keys=self.paths.public_key,
            extra=settings.args if vm.args is None else vm.args,
            disk_format=disk_format,
            nics=self.shape.nics,
            graphic=self.shape.graphic,
            makes_sockets=self.shape.makes_sockets,
            confinement=Confinement(self.paths.vm_user, self.paths.sandbox),
        )

    def _controller(self) -> tuple[Path | str, int]:
        """Where QEMU connects for the guest: the socket of VMs of our controller, or the port of SPP's own."""
        c = self.config.controller
        if self.paths.version.era == "sppr":
            return guests_socket(self.paths.run), c.sec_port
        return local(c.host), c.sec_port

    def _ssh_port(self, kind: AnyKind, vm_id: int) -> int:
        base = self.config.vm.ssh_port
        return base + (vm_id or _TEMPLATE_SSH[kind]) if base else 0

    def _numbers(self, kind: AnyKind, vm: Vm) -> tuple[int, ...]:
        if not vm.id or kind in ("normal", "orig") or (kind == "ring" and self.config.spp.dir is not None):
            return ()  # templates have no ports; SPP's own programs know no ivshmem ports
        named = vm.rings if isinstance(vm, VmRing) else vm.vhosts if isinstance(vm, VmVhost) else None
        if named is not None:
            return named
        least = self.flags.vhost_num if kind == "vhost" else 1
        if kind == "vhost" and set(default_numbers(vm.id, least)) <= set(self.flags.vdev_vhost):
            return default_numbers(vm.id, least)  # the primary's own, which no chain can use
        return default_numbers(vm.id, max(least, self.ports_of_chains.get(vm_name(kind, vm.id), 0)))

    def _server(self, kind: AnyKind, vm: Vm, place: int, numbers: Sequence[int]) -> str:
        """Return who serves a VM's ports: the secondary it names, else that of a chain's via, else by turns; the
        primary where there is none.

        Nobody is asked for sockets that the primary made itself, as vdevs.
        """
        if kind == "vhost" and set(numbers) <= set(self.flags.vdev_vhost):
            return ""
        by_via = self.servers_by_via.get(vm_name(kind, vm.id))
        if vm.secondary is None and by_via in self.running:
            return f"nfv:{by_via}"
        if vm.secondary is None:
            return f"nfv:{self.running[place % len(self.running)]}" if self.running else "primary"
        if vm.secondary not in self.running:
            what = f"VM {vm.id} wants secondary {vm.secondary}, which is not among the {len(self.running)} that start"
            other = self.running[0] if self.running else 1
            raise ConfigError(what, hint=f"start more with -ns, or name another: secondary: {other}")
        return f"nfv:{vm.secondary}"


#: A VM that is the template itself.
TEMPLATE = Vm.model_construct(id=0)


def by_hand(
    config: Config,
    facts: Facts,
    paths: LabPaths,
    kind: AnyKind,
    vm_id: int,
    numbers: Sequence[int] | None,
    shape: Shape = Shape(),
) -> Part:
    """The part of one VM started by hand (runscripts/run-vm.py). ConfigError where conf.yml has no such VM; a normal
    one it need not know."""
    section: Sequence[Vm] = config.vms_ring if kind == "ring" else config.vms_vhost
    planner = VmPlanner(config, Flags(nof_sec=len(config.secondaries)), facts, paths, shape)
    if vm_id == 0 or kind == "orig":
        return planner.one(kind, TEMPLATE)
    if kind == "normal":
        return planner.one(kind, Vm(id=vm_id))
    for place, vm in enumerate(section):
        if vm.id == vm_id:
            return planner.one(kind, vm, place, numbers)
    listed = ", ".join(str(vm.id) for vm in section) or "none"
    raise ConfigError(f"vms_{kind}: no VM {vm_id} in {paths.conf}", hint=f"its ids there: {listed}")
