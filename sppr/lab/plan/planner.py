"""config + flags + facts + site -> Plan. Pure: nothing is read or touched here."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sppr import units
from sppr.config.model import Config, Vm
from sppr.config.model import Secondary as SecondarySettings
from sppr.errors import ConfigError
from sppr.host.facts import Facts
from sppr.lab.chains.ends import FILE
from sppr.lab.chains.planner import chains
from sppr.lab.paths import LabPaths
from sppr.lab.plan import controllers
from sppr.lab.plan.plan import DEFAULTS, Flags, Plan, windows_of
from sppr.lab.plan.vms import VmPlanner
from sppr.parts.part import Part, secondary_name
from sppr.parts.spp import Primary, Secondary
from sppr.spp import names
from sppr.spp.eal import Eal, lcores

#: Ports that a DPDK process holds (RTE_MAX_ETHPORTS).
MAX_PORTS = 32


def make(config: Config, flags: Flags, facts: Facts, paths: LabPaths, socket_name: str | None = None) -> Plan:
    """The plan. ConfigError where the flags ask for more than conf.yml has, or the ports do not fit the portmask."""
    flags = _counted(config, flags, paths)
    controllers.check(config, flags, paths)
    planner = _Planner(config, flags, facts, paths)
    vms = VmPlanner(config, flags, facts, paths)
    parts = [
        *controllers.controllers(config, paths, planner.chosen),
        planner.primary(),
        *planner.secondaries(),
        *vms.all(),
    ]
    parts = [_restarting(config, part) for part in parts]
    _check_vhosts(parts)
    used = [config.primary.coremask, *(s.coremask for s in config.secondaries[: flags.nof_sec])]
    vdev_sockets = [s for s in map(names.vdev_socket, primary_vdevs(config, flags, facts, paths)) if s]
    return Plan(
        session=paths.session,
        folder=str(paths.folder),
        run=str(paths.run),
        conf=str(paths.conf),
        host=config.controller.host,
        tcp_ports=_tcp_ports(config, parts),
        lcores=tuple(units.bits(sum(used))),
        file_prefix=planner.prefix,
        huge_dir=config.hugepages,
        memory=config.primary.memory,
        accel=config.vm.accel,
        sock_dir=paths.sock_dir,
        vdev_sockets=tuple(map(str, vdev_sockets)),
        windows=windows_of(parts, flags.nof_working),
        parts=tuple(parts),
        ready_timeout=config.vm.ready_timeout,
        flags=flags,
        socket_name=socket_name,
        rest=controllers.rest(config, paths),
        wiring=chains(config, parts),
    )


def _tcp_ports(config: Config, parts: Sequence[Part]) -> tuple[int, ...]:
    c = config.controller
    own = [c.pri_port, c.sec_port, c.rest_port]
    own += [c.vf_pri_port, c.vf_sec_port] if any(part.kind == "spp_vf.py" for part in parts) else []
    return tuple(port for port in own if port)


def primary_vdevs(config: Config, flags: Flags, facts: Facts, paths: LabPaths) -> tuple[str, ...]:
    """EAL devices of the primary: those of conf.yml and of the flags.

    Where no NIC is bound to DPDK and no device is named, the bits of the portmask are served by net_tap0, net_tap1, …;
    of a real SPP by null devices: a tap's signals throw its primary off the controller (spp-facts 12.3).
    """
    version = paths.version
    first = not version.since("17.02")
    named = [*config.primary.vdevs, *flags.vdevs, *map(names.tap_vdev, flags.vdev_tap)]
    named += [names.vhost_vdev(paths.sock_dir, n, first) for n in flags.vdev_vhost]
    if named or facts.nics:
        return tuple(named)
    portmask = config.primary.portmask if flags.portmask is None else flags.portmask
    if version.name:
        return tuple(names.null_vdev(n, first) for n in range(portmask.bit_length()))
    return tuple(names.tap_vdev(n) for n in range(portmask.bit_length()))


def _counted(config: Config, flags: Flags, paths: LabPaths) -> Flags:
    """The flags with a number for every kind: the default, or as many as conf.yml has where it has fewer; no ring VMs
    where SPP cannot have them.

    ConfigError where more were asked for than it has.
    """
    problems: list[str] = []
    counts: dict[str, Any] = {}
    if flags.nof_ring is None and paths.version.name and not (paths.version.ivshmem and config.spp.qemu):
        flags = replace(flags, nof_ring=0)
    for section, flag in (("secondaries", "nof_sec"), ("vms_ring", "nof_ring"), ("vms_vhost", "nof_vhost")):
        has, wanted = len(getattr(config, section)), getattr(flags, flag)
        of_templates = flags.template and flag != "nof_sec"
        counts[flag] = wanted if wanted is not None else DEFAULTS[flag] if of_templates else min(DEFAULTS[flag], has)
        if counts[flag] > has and not of_templates:
            problems.append(f"{section}: {wanted} asked for, but conf.yml has {has}")
    if problems:
        raise ConfigError("\n".join(problems), hint="add entries there, or ask for fewer")
    return replace(flags, **counts)


def _ports(count: int) -> str:
    return "1 port" if count == 1 else f"{count} ports"


def _check_vhosts(parts: Sequence[Part]) -> None:
    """The numbers that -vn adds may be those of another VM."""
    owner: dict[str, Part] = {}
    for part in parts:
        for uid in part.ports:
            if uid in owner:
                what = f"{uid} would serve both VM {owner[uid].id} and VM {part.id}"
                raise ConfigError(what, hint="give one of them numbers of its own in conf.yml: vhosts: [N, …]")
            owner[uid] = part


def _restarting(config: Config, part: Part) -> Part:
    """The part with its restart policy: its own, else that of its kind, else the lab's."""
    entries: list[SecondarySettings | Vm] = [*config.secondaries, *config.vms_ring, *config.vms_vhost]
    own = next((e.restart for e in entries if part.id is not None and e.id == part.id), None)
    kind = {"controller": config.controller.restart, "primary": config.primary.restart, "secondary": None}
    chosen = own or kind.get(part.role, config.vm.restart) or config.restart
    if chosen.policy == "no":
        return part
    return replace(part, restarts=chosen.max, restart_delay=chosen.delay)


class _Planner:
    """Makes the parts of one lab."""

    def __init__(self, config: Config, flags: Flags, facts: Facts, paths: LabPaths) -> None:
        self.config, self.flags, self.facts, self.paths = config, flags, facts, paths
        # A file of 2017 knows no prefix: the session's name keeps two labs apart.
        self.prefix = config.spp.file_prefix or paths.session
        self.upstream = bool(paths.version.name)
        self.chosen = config.secondaries[: flags.nof_sec]

    def _part(self, part: Part) -> Part:
        return replace(part, command=(*part.command, *self.paths.flags()))

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
            vdevs=primary_vdevs(self.config, self.flags, self.facts, self.paths) if primary else (),
            base_virtaddr=self.paths.version.base_virtaddr if primary else None,
        )

    def _sockets(self) -> tuple[str, ...]:
        """The folder of vhost sockets and the user who gets them. SPP's own programs do not have these options."""
        if self.upstream:
            return ()
        other = self.paths.sock_dir != "/tmp"  # noqa: S108
        folder = ("--sock-dir", self.paths.sock_dir) if other else ()
        return (*folder, "--sock-uid", str(self.paths.vm_uid)) if self.paths.vm_uid else folder

    def _ends(self) -> tuple[str, ...]:
        """The file of the taps that the primary moves into namespaces."""
        if not any(chain.ends for chain in self.config.chains.values()):
            return ()
        return ("--tap-ends", str(self.paths.run / FILE))

    def primary(self) -> Part:
        p, c, flags = self.config.primary, self.config.controller, self.flags
        eal = self._eal(p.coremask, primary=True)
        portmask = self._portmask(len(eal.vdevs) + len(self.facts.nics))
        program = Primary(
            self.paths.binary("primary"), eal, portmask, p.rings, c.host, c.pri_port, (*self._sockets(), *self._ends())
        ).argv()
        options: list[str] = []
        if flags.portmask is not None:
            options += ["-p", units.format_mask(flags.portmask)]
        options += [word for vdev in flags.vdevs for word in ("-vd", vdev)]
        options += ["-vdt", ",".join(map(str, flags.vdev_tap))] if flags.vdev_tap else []
        options += ["-vdv", ",".join(map(str, flags.vdev_vhost))] if flags.vdev_vhost else []
        command = (*self.paths.runscript("primary.py"), *options)
        made = Part(
            "pri", "primary", None, "pri", command, tuple(program), depends_on=("ctrler",), upstream=self.upstream
        )
        return self._part(made)

    def _portmask(self, devices: int) -> int:
        """The portmask, if it names just the devices there are; SPP exits or ignores bits otherwise."""
        if devices > MAX_PORTS:
            raise ConfigError(f"{devices} devices (NICs bound to DPDK and vdevs)", hint=f"name {MAX_PORTS} at most")
        flags, fitting = self.flags, (1 << devices) - 1
        named = bool(flags.vdevs or flags.vdev_tap or flags.vdev_vhost)
        if flags.portmask is None and named:
            return fitting
        given = self.config.primary.portmask if flags.portmask is None else flags.portmask
        if not given:
            raise ConfigError("-p 0: no port at all", hint="name at least one port, such as -p 0x01")
        if (named or self.config.primary.vdevs) and given != fitting:
            what = f"portmask {units.format_mask(given)} names {_ports(given.bit_count())}, but devices are {devices}"
            written = flags.portmask is None
            hint = f"portmask: {units.format_mask(fitting)}" if written else f"-p {units.format_mask(fitting)}"
            key = ("primary", "portmask") if written else ()
            raise ConfigError(f"{what} (NICs bound to DPDK and vdevs)", hint=hint, key=key)
        return given

    def secondaries(self) -> list[Part]:
        return [self._part(self._secondary(s)) for s in self.chosen]

    def _secondary(self, s: SecondarySettings) -> Part:
        c = self.config.controller
        apart = s.type == "vf" and self.paths.version.has_vf_controller
        extra = [*self._sockets(), *(["--vhost-client"] if s.vhost_client else [])]
        if s.type == "pcap":
            extra += ["-c", s.port, *(["--out-dir", s.out_dir] if s.out_dir else [])]
        port = c.vf_sec_port if apart else c.sec_port
        eal = self._eal(s.coremask, primary=False)
        made = Secondary(self.paths.binary(s.type), eal, s.id, c.host, port, tuple(extra), s.type)
        return Part(
            name=secondary_name(s.id),
            role="secondary",
            id=s.id,
            window="sec",
            command=(*self.paths.runscript("secondary.py"), "-i", str(s.id)),
            program=tuple(made.argv()),
            depends_on=("pri", "vfctrl") if apart else ("pri",),
            kind=s.type,
            control=str(controllers.vf_socket(self.paths.run)) if apart else "",
            upstream=self.upstream,
        )
