"""Make the plan of a lab from conf.yml, the flags, the facts of the machine and the paths of the lab. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sppr import impairment, units
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

#: Maximal number of ports of a DPDK process (RTE_MAX_ETHPORTS).
MAX_PORTS = 32
#: Frames that impairments may hold: the default of spp_primary, and the maximum (docs/dataplane.md).
HELD_FRAMES, MOST_HELD_FRAMES = 20_000, 4_000_000


def make(config: Config, flags: Flags, facts: Facts, paths: LabPaths, socket_name: str | None = None) -> Plan:
    """Return the plan.

    Raise ConfigError if the flags request more than conf.yml has, if the release of SPP does not support it, if the
    ports do not match the portmask, or if two VMs would share a port.
    """
    flags = _with_counts(config, flags, paths)
    controllers.check_release(config, flags, paths)
    planner = _Planner(config, flags, facts, paths)
    vms = VmPlanner(config, flags, facts, paths)
    parts = [
        *controllers.controllers(config, paths, planner.secondary_settings),
        planner.primary(),
        *planner.secondaries(),
        *vms.all(),
    ]
    parts = [_with_restart_policy(config, part) for part in parts]
    _check_ports(parts)
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
        rest=controllers.rest_address(config, paths),
        wiring=chains(config, parts),
    )


def _tcp_ports(config: Config, parts: Sequence[Part]) -> tuple[int, ...]:
    c = config.controller
    own = [c.pri_port, c.sec_port, c.rest_port]
    own += [c.vf_pri_port, c.vf_sec_port] if any(part.kind == "spp_vf.py" for part in parts) else []
    return tuple(port for port in own if port)


def primary_vdevs(config: Config, flags: Flags, facts: Facts, paths: LabPaths) -> tuple[str, ...]:
    """Return the EAL devices of the primary: those of conf.yml and of the flags, then those of links.

    If no NIC is bound to DPDK and no device is given, each bit of the portmask becomes a TAP device net_tap0,
    net_tap1, …. With upstream SPP it becomes a null device: each frame of a TAP device raises SIGIO in an upstream
    primary, so its poll fails with EINTR and it reconnects to the controller (seen at HEAD).
    """
    version = paths.version
    first = not version.since("17.02")
    named = [*config.primary.vdevs, *flags.vdevs, *map(names.tap_vdev, flags.vdev_tap)]
    named += [names.vhost_vdev(paths.sock_dir, n, first) for n in flags.vdev_vhost]
    links = tuple(names.link_vdev(n, link.netdev) for n, link in enumerate(config.links) if link.netdev)
    if named or facts.nics:
        return (*named, *links)
    portmask = config.primary.portmask if flags.portmask is None else flags.portmask
    if version.name:
        return tuple(names.null_vdev(n, first) for n in range(portmask.bit_length()))
    return (*(names.tap_vdev(n) for n in range(portmask.bit_length())), *links)


def _with_counts(config: Config, flags: Flags, paths: LabPaths) -> Flags:
    """Return the flags with every number filled in: the default, or the number in conf.yml if that is lower.

    The number of ring VMs is 0 if the release of SPP does not support them. Raise ConfigError if the flags request more
    than conf.yml has.
    """
    problems: list[str] = []
    counts: dict[str, Any] = {}
    if flags.nof_ring is None and paths.version.name and not (paths.version.ivshmem and config.spp.qemu):
        flags = replace(flags, nof_ring=0)
    for section, flag in (("secondaries", "nof_sec"), ("vms_ring", "nof_ring"), ("vms_vhost", "nof_vhost")):
        has, requested = len(getattr(config, section)), getattr(flags, flag)
        templates = flags.template and flag != "nof_sec"
        default = DEFAULTS[flag] if templates else min(DEFAULTS[flag], has)
        counts[flag] = default if requested is None else requested
        if counts[flag] > has and not templates:
            problems.append(f"{section}: {requested} requested, but conf.yml has {has}")
    if problems:
        raise ConfigError("\n".join(problems), hint="add entries to conf.yml, or request fewer")
    return replace(flags, **counts)


def _ports(count: int) -> str:
    return "1 port" if count == 1 else f"{count} ports"


def _check_ports(parts: Sequence[Part]) -> None:
    """Raise ConfigError if two VMs have the same port, for example because of the numbers that -vn adds."""
    owner: dict[str, Part] = {}
    for part in parts:
        for uid in part.ports:
            if uid in owner:
                what = f"{uid} would serve both VM {owner[uid].id} and VM {part.id}"
                raise ConfigError(what, hint="set other numbers for one of them in conf.yml: vhosts: [N, …]")
            owner[uid] = part


def _with_restart_policy(config: Config, part: Part) -> Part:
    """Return the part with its restart policy: its own, else that of its kind, else that of the lab."""
    entries: list[SecondarySettings | Vm] = [*config.secondaries, *config.vms_ring, *config.vms_vhost]
    own = next((e.restart for e in entries if part.id is not None and e.id == part.id), None)
    kind = {"controller": config.controller.restart, "primary": config.primary.restart, "secondary": None}
    restart = own or kind.get(part.role, config.vm.restart) or config.restart
    if restart.policy == "no":
        return part
    return replace(part, restarts=restart.max, restart_delay=restart.delay)


class _Planner:
    """Planner of the primary and the secondaries of one lab."""

    def __init__(self, config: Config, flags: Flags, facts: Facts, paths: LabPaths) -> None:
        self.config, self.flags, self.facts, self.paths = config, flags, facts, paths
        # A conf.yml of 2017 has no prefix. The session's name as prefix separates two labs.
        self.prefix = config.spp.file_prefix or paths.session
        self.upstream = bool(paths.version.name)
        self.secondary_settings = config.secondaries[: flags.nof_sec]

    def _with_flags(self, part: Part) -> Part:
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

    def _socket_options(self) -> tuple[str, ...]:
        """Return the options for the folder of vhost sockets and for their owner. Upstream programs have neither."""
        if self.upstream:
            return ()
        is_default = self.paths.sock_dir == "/tmp"  # noqa: S108
        folder = () if is_default else ("--sock-dir", self.paths.sock_dir)
        return (*folder, "--sock-uid", str(self.paths.vm_uid)) if self.paths.vm_uid else folder

    def _held_frames(self) -> tuple[str, ...]:
        """Return the option for the frames that impaired chains may hold at once, if the default is too small."""
        impaired = [chain for chain in self.config.chains.values() if chain.impair is not None]
        limits = (impairment.parse(c.impair_words()).limit * (1 + (c.direction == "both")) for c in impaired)
        needed = min(sum(limits) + impairment.LIMIT, MOST_HELD_FRAMES)  # room for one that is set while the lab runs
        return ("--held-frames", str(needed)) if impaired and needed > HELD_FRAMES else ()

    def _tap_end_options(self) -> tuple[str, ...]:
        """Return the option for the list of TAP interfaces that the primary moves into network namespaces."""
        if not any(chain.ends for chain in self.config.chains.values()):
            return ()
        return ("--tap-ends", str(self.paths.run / FILE))

    def _cables(self, vdevs: Sequence[str]) -> list[str]:
        """Return the options for the NICs that are links. Raise ConfigError for one that the primary will not have."""
        nics = len(self.facts.nics) + sum(names.is_nic(vdev) for vdev in vdevs)
        words: list[str] = []
        for number, link in enumerate(self.config.links):
            if link.nic is not None and int(link.nic.removeprefix("phy:")) >= nics:
                are = "1 NIC is" if nics == 1 else f"{nics or 'no'} NICs are"
                what = f"{link.nic} of link {link.name}: {are} bound to DPDK here"
                hint = "bind the NIC: dpdk-devbind.py --status shows it; phy:0 is the first one"
                raise ConfigError(what, hint=hint, key=("links", number, "nic"))
            words += ["--link", f"{number}={link.nic}"] if link.nic is not None else []
        return words

    def primary(self) -> Part:
        """Return the primary."""
        p, c, flags = self.config.primary, self.config.controller, self.flags
        eal = self._eal(p.coremask, primary=True)
        links = sum(link.netdev is not None for link in self.config.links)
        devices = len(eal.vdevs) + len(self.facts.nics)
        if devices > MAX_PORTS:
            with_links = "NICs bound to DPDK, vdevs and links" if links else "NICs bound to DPDK and vdevs"
            what = f"{devices} devices ({with_links}) are too many for a DPDK process"
            raise ConfigError(what, hint=f"use {MAX_PORTS} at most")
        portmask = self._portmask(devices - links) | ((1 << links) - 1) << (devices - links)
        extra = (
            *self._socket_options(), *self._tap_end_options(), *self._held_frames(), *self._cables(eal.vdevs)
        )  # fmt: skip
        program = Primary(self.paths.binary("primary"), eal, portmask, p.rings, c.host, c.pri_port, extra).argv()
        options: list[str] = []
        if flags.portmask is not None:
            options += ["-p", units.format_mask(flags.portmask)]
        options += [word for vdev in flags.vdevs for word in ("-vd", vdev)]
        options += ["-vdt", ",".join(map(str, flags.vdev_tap))] if flags.vdev_tap else []
        options += ["-vdv", ",".join(map(str, flags.vdev_vhost))] if flags.vdev_vhost else []
        command = (*self.paths.runscript("primary.py"), *options)
        part = Part(
            "pri", "primary", None, "pri", command, tuple(program), depends_on=("ctrler",), upstream=self.upstream
        )
        return self._with_flags(part)

    def _portmask(self, devices: int) -> int:
        """Return the portmask. ``devices``: number of devices.

        Raise ConfigError if its bits do not match the devices, because SPP then exits or ignores bits.
        """
        flags, matching = self.flags, (1 << devices) - 1
        has_vdev_flags = bool(flags.vdevs or flags.vdev_tap or flags.vdev_vhost)
        if flags.portmask is None and has_vdev_flags:
            return matching
        given = self.config.primary.portmask if flags.portmask is None else flags.portmask
        if not given:
            raise ConfigError("-p 0: the mask is empty", hint="name at least one port, such as -p 0x01")
        if (has_vdev_flags or self.config.primary.vdevs) and given != matching:
            selected = f"{units.format_mask(given)} selects {_ports(given.bit_count())}"
            what = f"portmask {selected}, but the number of devices is {devices}"
            from_conf = flags.portmask is None
            hint = f"portmask: {units.format_mask(matching)}" if from_conf else f"-p {units.format_mask(matching)}"
            key = ("primary", "portmask") if from_conf else ()
            raise ConfigError(f"{what} (NICs bound to DPDK and vdevs)", hint=hint, key=key)
        return given

    def secondaries(self) -> list[Part]:
        """Return the secondaries."""
        return [self._with_flags(self._secondary(s)) for s in self.secondary_settings]

    def _secondary(self, s: SecondarySettings) -> Part:
        c = self.config.controller
        own_controller = s.type == "vf" and self.paths.version.has_vf_controller
        extra = [*self._socket_options(), *(["--vhost-client"] if s.vhost_client else [])]
        if s.type == "pcap":
            extra += ["-c", s.port, *(["--out-dir", s.out_dir] if s.out_dir else [])]
        port = c.vf_sec_port if own_controller else c.sec_port
        eal = self._eal(s.coremask, primary=False)
        program = Secondary(self.paths.binary(s.type), eal, s.id, c.host, port, tuple(extra), s.type)
        return Part(
            name=secondary_name(s.id),
            role="secondary",
            id=s.id,
            window="sec",
            command=(*self.paths.runscript("secondary.py"), "-i", str(s.id)),
            program=tuple(program.argv()),
            depends_on=("pri", "vfctrl") if own_controller else ("pri",),
            kind=s.type,
            control=str(controllers.vf_socket(self.paths.run)) if own_controller else "",
            upstream=self.upstream,
        )
