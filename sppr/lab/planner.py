"""config + flags + facts + site -> Plan. Pure: nothing is read or touched here."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sppr import units
from sppr.config.model import Config, VmRing, VmVhost
from sppr.config.rules import default_vhosts
from sppr.errors import ConfigError
from sppr.host.facts import Facts
from sppr.images.store import Kind, Store
from sppr.lab.plan import Flags, Image, Plan, Window, api_socket
from sppr.lab.site import Site
from sppr.qemu.parts import Accel
from sppr.roles.controller import Controller
from sppr.roles.part import Part, secondary_name, vm_name
from sppr.roles.spp import Primary, Secondary
from sppr.roles.vm import Vm, controller_seen
from sppr.spp import ports
from sppr.spp.eal import Eal, lcores


def make(config: Config, flags: Flags, facts: Facts, site: Site, socket_name: str | None = None) -> Plan:
    """The plan. ConfigError where the flags ask for more than conf.yml has, or the ports do not fit the portmask."""
    _check_counts(config, flags)
    planner = _Planner(config, flags, facts, site)
    parts = [planner.controller(), planner.primary(), *planner.secondaries(), *planner.vms()]
    _check_vhosts(parts)
    used = [config.primary.coremask, *(s.coremask for s in config.secondaries[: flags.nof_sec])]
    vdev_sockets = [s for s in map(ports.vdev_socket, primary_vdevs(config, flags, facts)) if s]
    return Plan(
        session=site.session,
        folder=str(site.folder),
        run=str(site.run),
        conf=str(site.conf),
        host=config.controller.host,
        tcp_ports=(config.controller.pri_port, config.controller.sec_port),
        ssh_ports=tuple(planner.ssh_ports()),
        lcores=tuple(units.bits(sum(used))),
        file_prefix=planner.prefix,
        huge_dir=config.hugepages,
        memory=config.primary.memory,
        accel=config.vm.accel,
        sock_dir=config.spp.sock_dir,
        sockets=tuple(dict.fromkeys([*map(str, vdev_sockets), *(s for part in parts for s in part.sockets)])),
        windows=tuple(_windows(parts, flags)),
        parts=tuple(parts),
        images=tuple(planner.images()),
        ready_timeout=config.vm.ready_timeout,
        socket_name=socket_name,
    )


def primary_vdevs(config: Config, flags: Flags, facts: Facts) -> tuple[str, ...]:
    """EAL devices of the primary: those of conf.yml and of the flags.

    Where no NIC is bound to DPDK and no device is named, the bits of the portmask are served by net_tap0, net_tap1, …
    """
    named = [*config.primary.vdevs, *flags.vdevs, *map(ports.tap_vdev, flags.vdev_tap)]
    named += [ports.vhost_vdev(config.spp.sock_dir, n) for n in flags.vdev_vhost]
    if named or facts.nics:
        return tuple(named)
    portmask = config.primary.portmask if flags.portmask is None else flags.portmask
    return tuple(ports.tap_vdev(n) for n in range(portmask.bit_length()))


def _check_counts(config: Config, flags: Flags) -> None:
    problems = []
    for section, wanted in (
        ("secondaries", flags.nof_sec),
        ("vms_ring", flags.nof_ring if not flags.template else 0),
        ("vms_vhost", flags.nof_vhost if not flags.template else 0),
    ):
        has = len(getattr(config, section))
        if wanted > has:
            problems.append(f"{section}: {wanted} asked for, but conf.yml has {has}")
    if problems:
        raise ConfigError("\n".join(problems), hint="add entries there, or ask for fewer")


def _check_vhosts(parts: Sequence[Part]) -> None:
    """The numbers that -vn adds may be those of another VM."""
    owner: dict[str, Part] = {}
    for part in parts:
        for uid in part.ports:
            if uid in owner:
                what = f"{uid} would serve both VM {owner[uid].id} and VM {part.id}"
                raise ConfigError(what, hint="give one of them numbers of its own in conf.yml: vhosts: [N, …]")
            owner[uid] = part


def _windows(parts: Sequence[Part], flags: Flags) -> list[Window]:
    names = dict.fromkeys(part.window for part in parts)
    windows = [Window(name, tuple(p.name for p in parts if p.window == name)) for name in names]
    return windows + [Window(f"w{n}", (f"w{n}",)) for n in range(flags.nof_working)]


class _Planner:
    """Makes the parts of one lab."""

    def __init__(self, config: Config, flags: Flags, facts: Facts, site: Site) -> None:
        self.config, self.flags, self.facts, self.site = config, flags, facts, site
        # A file of 2017 knows no prefix: the session's name keeps two labs apart.
        self.prefix = config.spp.file_prefix or site.session
        self.real = config.spp.dir is not None
        self.accel: Accel = "kvm" if config.vm.accel != "tcg" and facts.kvm_usable() else "tcg"
        self.chosen = config.secondaries[: flags.nof_sec]

    def _part(self, part: Part) -> Part:
        return replace(part, command=(*part.command, *self.site.flags()))

    def controller(self) -> Part:
        c = self.config.controller
        program = Controller(c.host, c.pri_port, c.sec_port, api_socket(self.site.run)).argv()
        command = self.site.runscript("controller.py")
        return self._part(Part("ctrler", "controller", None, "ctrler", command, tuple(program)))

    def _eal(self, coremask: int, primary: bool) -> Eal:
        p = self.config.primary
        return Eal(
            lcores=tuple(lcores(coremask, self.facts.cpus)),
            channels=p.channels,
            proc_type="primary" if primary else "secondary",
            file_prefix=self.prefix,
            pci=bool(self.facts.nics),
            socket_mem=p.memory if primary else None,
            huge_dir=self.config.hugepages if primary else None,
            vdevs=primary_vdevs(self.config, self.flags, self.facts) if primary else (),
        )

    def _sock_dir(self) -> tuple[str, ...]:
        """Our own programs take another folder than /tmp; SPP's cannot."""
        ours = self.config.spp.sock_dir != "/tmp" and not self.real  # noqa: S108
        return ("--sock-dir", self.config.spp.sock_dir) if ours else ()

    def primary(self) -> Part:
        p, c, flags = self.config.primary, self.config.controller, self.flags
        eal = self._eal(p.coremask, primary=True)
        portmask = self._portmask(len(eal.vdevs) + len(self.facts.nics))
        program = Primary(
            self.site.binary("primary"), eal, portmask, p.rings, c.host, c.pri_port, self._sock_dir()
        ).argv()
        options: list[str] = []
        if flags.portmask is not None:
            options += ["-p", units.format_mask(flags.portmask)]
        options += [word for vdev in flags.vdevs for word in ("-vd", vdev)]
        options += ["-vdt", ",".join(map(str, flags.vdev_tap))] if flags.vdev_tap else []
        options += ["-vdv", ",".join(map(str, flags.vdev_vhost))] if flags.vdev_vhost else []
        command = (*self.site.runscript("primary.py"), *options)
        return self._part(Part("pri", "primary", None, "pri", command, tuple(program), needs=("ctrler",)))

    def _portmask(self, devices: int) -> int:
        """The portmask, if it names just the devices there are; SPP exits or ignores bits otherwise."""
        given = self.flags.portmask if self.flags.portmask is not None else self.config.primary.portmask
        if self.config.primary.vdevs or self.flags.vdevs or self.flags.vdev_tap or self.flags.vdev_vhost:
            fitting = units.format_mask((1 << devices) - 1)
            if given != (1 << devices) - 1:
                what = f"portmask {units.format_mask(given)} names {given.bit_count()} ports, but there are {devices}"
                raise ConfigError(f"{what} (NICs bound to DPDK and vdevs)", hint=f"-p {fitting}, or primary.portmask")
        return given

    def secondaries(self) -> list[Part]:
        c = self.config.controller
        return [
            self._part(
                Part(
                    name=secondary_name(s.id),
                    role="secondary",
                    id=s.id,
                    window="sec",
                    command=(*self.site.runscript("secondary.py"), "-i", str(s.id)),
                    program=tuple(
                        Secondary(
                            self.site.binary("nfv"),
                            self._eal(s.coremask, primary=False),
                            s.id,
                            c.host,
                            c.sec_port,
                            self._sock_dir(),
                        ).argv()
                    ),
                    needs=("pri",),
                )
            )
            for s in self.chosen
        ]

    def vms(self) -> list[Part]:
        if self.flags.template:
            counts: tuple[tuple[Kind, int], ...] = (("ring", self.flags.nof_ring), ("vhost", self.flags.nof_vhost))
            return [self.vm(kind, VmRing.model_construct(id=0)) for kind, count in counts if count]
        ring = [self.vm("ring", vm) for vm in self.config.vms_ring[: self.flags.nof_ring]]
        vhost = [self.vm("vhost", vm, n) for n, vm in enumerate(self.config.vms_vhost[: self.flags.nof_vhost])]
        return [*ring, *vhost]

    def vm(self, kind: Kind, vm: VmRing, place: int = 0, numbers: Sequence[int] | None = None) -> Part:
        """One VM; ``numbers``: its vhost ports where they differ from what conf.yml and the flags say."""
        name = vm_name(kind, vm.id)
        if numbers is None:
            numbers = self._vhosts(vm) if kind == "vhost" and vm.id else ()
        sockets = [ports.vhost_socket(self.config.spp.sock_dir, n) for n in numbers]
        server = self._server(vm, place) if kind == "vhost" and vm.id else ""
        if numbers and set(numbers) <= set(self.flags.vdev_vhost):
            server = ""  # the primary itself made these sockets, as vdevs
        built = self._vm(kind, vm, name, sockets)
        command = [*self.site.runscript("run-vm.py"), "-t", kind, "-i", str(vm.id)]
        if numbers and tuple(numbers) != default_vhosts(vm.id, 1):
            command += ["-d", ",".join(map(str, numbers))]
        needs = () if not vm.id else ("pri",) if not server.startswith("nfv") else (f"sec{server[4:]}",)
        return self._part(
            Part(
                name=name,
                role="vm_ring" if kind == "ring" else "vm_vhost",
                id=vm.id,
                window="vm_r" if kind == "ring" else "vm_v",
                command=tuple(command),
                program=tuple(built.argv()),
                needs=needs,
                server=server,
                ports=tuple(ports.uid("vhost", n) for n in numbers),
                sockets=tuple(map(str, sockets)),
                disk=str(built.disk),
                qmp=str(built.qmp),
                console=str(built.console),
            )
        )

    def _vm(self, kind: Kind, vm: VmRing, name: str, sockets: Sequence[Path]) -> Vm:
        settings = self.config.vm
        store = self.site.store
        return Vm(
            kind=kind,
            id=vm.id,
            disk=_disk(store, kind, vm.id) if store else Path("(no base image)"),
            memory=vm.memory or settings.memory,
            cores=vm.cores or settings.cores,
            accel=self.accel,
            qmp=self.site.run / f"{name}.qmp",
            console=self.site.run / f"{name}.console",
            ssh_port=self._ssh_port(kind, vm.id),
            sockets=tuple(sockets),
            controller=controller_seen(self.config.controller.host, self.config.controller.sec_port),
            authorized_keys=self.site.public_key,
            extra=settings.args if vm.args is None else vm.args,
        )

    def _ssh_port(self, kind: Kind, vm_id: int) -> int:
        base = self.config.vm.ssh_port
        return base + (vm_id or {"ring": 201, "vhost": 202}[kind]) if base else 0

    def _vhosts(self, vm: VmRing) -> tuple[int, ...]:
        if isinstance(vm, VmVhost) and vm.vhosts is not None:
            return vm.vhosts
        return default_vhosts(vm.id, self.flags.vhost_num)

    def _server(self, vm: VmRing, place: int) -> str:
        """Who serves a VM's vhost ports: the secondary it names, else by turns; the primary where there is none."""
        named = vm.secondary if isinstance(vm, VmVhost) else None
        running = [s.id for s in self.chosen]
        if named is not None and named not in running:
            what = f"VM {vm.id} wants secondary {named}, which is not among the {len(running)} that start"
            raise ConfigError(
                what, hint=f"start more with -ns, or name another: secondary: {running[0] if running else 1}"
            )
        if named is not None:
            return f"nfv:{named}"
        return f"nfv:{running[place % len(running)]}" if running else "primary"

    def images(self) -> list[Image]:
        return [Image("ring" if part.role == "vm_ring" else "vhost", part.id or 0) for part in self.vms()]

    def ssh_ports(self) -> list[int]:
        kinds: list[tuple[Kind, int]] = [(image.kind, image.vm_id) for image in self.images()]
        return [port for port in (self._ssh_port(kind, vm_id) for kind, vm_id in kinds) if port]


def _disk(store: Store, kind: Kind, vm_id: int) -> Path:
    return store.instance(kind, vm_id) if vm_id else store.template(kind)


def one_vm(config: Config, facts: Facts, site: Site, kind: Kind, vm_id: int, numbers: Sequence[int] | None) -> Part:
    """The part of one VM started by hand (runscripts/run-vm.py). ConfigError where conf.yml has no such VM."""
    section = config.vms_ring if kind == "ring" else config.vms_vhost
    planner = _Planner(config, Flags(nof_sec=len(config.secondaries)), facts, site)
    if vm_id == 0:
        return planner.vm(kind, VmRing.model_construct(id=0))
    for place, vm in enumerate(section):
        if vm.id == vm_id:
            return planner.vm(kind, vm, place, numbers)
    listed = ", ".join(str(vm.id) for vm in section) or "none"
    raise ConfigError(f"vms_{kind}: no VM {vm_id} in {site.conf}", hint=f"its ids there: {listed}")
