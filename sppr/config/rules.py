"""Rules over several fields of a Config, one function each."""

from collections.abc import Collection, Iterator
from ipaddress import IPv4Address

from sppr import units
from sppr.config import chains
from sppr.config.chains import default_numbers
from sppr.config.hosts.model import PARTS
from sppr.config.model import Config
from sppr.config.problem import LineOf, Path, Problem, at_line

#: RTE_MAX_LCORE of DPDK's usual builds.
MAX_LCORE = 128
#: IFNAMSIZ of Linux, less the NUL.
MAX_IFACE = 15


def check(config: Config, line_of: LineOf = lambda _: None, wrong: Collection[Path] = frozenset()) -> list[Problem]:
    """Return all problems of ``config``.

    ``line_of``: returns the line of a path in the file. ``wrong``: paths that were already reported. Their values are
    defaults, so conflicts with them are not reported.
    """
    found = [problem for rule in RULES for problem in rule(config, line_of)]
    return [problem for problem in found if not problem.others & set(wrong) and problem.path not in wrong]


def _ids(config: Config, line_of: LineOf) -> Iterator[Problem]:
    """Check that ids are unique. VMs register at the controller as secondaries do, so all ids share one space."""
    seen: dict[int, Path] = {}
    for section in ("secondaries", "vms_ring", "vms_vhost"):
        for index, entry in enumerate(getattr(config, section)):
            path: Path = (section, index, "id")
            if entry.id is None:  # load reports it
                continue
            if entry.id in seen:
                other = seen[entry.id]
                taken = sorted(seen)
                free = next(i for i in range(1, 129) if i not in taken)
                what = f"{entry.id} is already the id of {other[0]}[{other[1]}]{at_line(line_of(other))}"
                yield Problem(path, what, f"use a free id, such as {free}")
            else:
                seen[entry.id] = path


def _coremasks(config: Config, line_of: LineOf) -> Iterator[Problem]:
    """Check that no lcore has two processes: they would corrupt the caches of the shared mempool."""
    given: list[tuple[Path, str, int]] = [(("primary", "coremask"), "primary", config.primary.coremask)]
    for index, secondary in enumerate(config.secondaries):
        if secondary.coremask is not None:
            given.append((("secondaries", index, "coremask"), f"secondaries[{index}]", secondary.coremask))
    for place, (path, _, coremask) in enumerate(given):
        others = [m for i, (_, _, m) in enumerate(given) if i != place]
        for other_path, other, taken in given[:place]:
            shared = units.bits(coremask & taken)
            if shared:
                what = (
                    f"{units.format_mask(coremask)} overlaps {other}{at_line(line_of(other_path))} on core {shared[0]}"
                )
                used = ", ".join(dict.fromkeys(units.format_mask(m) for m in others))
                yield Problem(path, what, f"choose cores not in {used}")
                break


def _lcores(config: Config, _: LineOf) -> Iterator[Problem]:
    if not config.primary.coremask:
        yield Problem(("primary", "coremask"), "the mask is empty", "name at least one core, such as 0x01")
    if config.primary.coremask.bit_length() > MAX_LCORE:
        yield Problem(("primary", "coremask"), f"names a core beyond {MAX_LCORE - 1}", "use lower cores")
    for index, secondary in enumerate(config.secondaries):
        path: Path = ("secondaries", index, "coremask")
        if secondary.coremask is None:
            continue
        if secondary.coremask.bit_length() > MAX_LCORE:
            yield Problem(path, f"names a core beyond {MAX_LCORE - 1}", "use lower cores")
        elif secondary.coremask.bit_count() < (least := 3 if secondary.type == "pcap" else 2):
            count = secondary.coremask.bit_count()
            what = f"{units.format_mask(secondary.coremask)} has {count} core{'s' * (count != 1)}"
            fix = "an nfv needs two: one for commands, one that forwards"
            if secondary.type != "nfv":
                fix = f"spp_{secondary.type} needs {least}: one for commands, the others work"
            yield Problem(path, what, fix)


def _ports(config: Config, line_of: LineOf) -> Iterator[Problem]:
    c = config.controller

    def taken(key: str, other: str, what: str, fix: str) -> Problem:
        there: Path = ("controller", other)
        problem = f"{getattr(c, key)} is already {what}{at_line(line_of(there))}"
        return Problem(("controller", key), problem, fix, others=frozenset({there}))

    if c.pri_port == c.sec_port:
        yield taken("sec_port", "pri_port", "the primary's port", "use two ports, such as 5555 and 6666")
    if config.spp.dir is not None and any(s.type == "vf" for s in config.secondaries):
        owners = {c.pri_port: "pri_port", c.sec_port: "sec_port", c.rest_port: "rest_port"}
        for key in ("vf_pri_port", "vf_sec_port"):
            if (number := getattr(c, key)) in owners:
                other = owners[number]
                yield taken(key, other, f"controller.{other}", "use another port, such as 5556 and 6667")
            owners[number] = key
    for key in ("pri_port", "sec_port"):
        if c.rest_port == getattr(c, key):
            yield taken("rest_port", key, f"controller.{key}", "use another port, such as 7777, or 0 for none")


def _reachable(config: Config, _: LineOf) -> Iterator[Problem]:
    """Require ``allow`` for an address that other machines reach, where the owner of a connection is unknown."""
    c = config.controller
    for key in ("host", "rest_host"):
        address = getattr(c, key)
        if key == "rest_host" and not c.rest_port:
            continue
        if not IPv4Address(address).is_loopback and not c.allow:
            what = f"{address} is reached from other machines, which could command processes of root"
            fix = "use 127.0.0.1, or name the networks that may connect: controller: {allow: [192.168.1.0/24]}"
            yield Problem(("controller", key), what, fix)


def _portmask(config: Config, _: LineOf) -> Iterator[Problem]:
    if not config.primary.portmask:
        yield Problem(("primary", "portmask"), "the mask is empty", "name at least one port, such as 0x01")
    elif config.primary.portmask.bit_length() > 32:
        yield Problem(("primary", "portmask"), "names a port beyond 31", "a DPDK process holds 32 ports at most")


def _vm_secondary(config: Config, _: LineOf) -> Iterator[Problem]:
    known = [s.id for s in config.secondaries if s.type == "nfv"]
    if None in known:
        return
    for section in ("vms_ring", "vms_vhost"):
        for index, vm in enumerate(getattr(config, section)):
            if vm.secondary is not None and vm.secondary not in known:
                listed = ", ".join(map(str, known))
                path: Path = (section, index, "secondary")
                fix = f"use the id of a secondary: {listed}" if known else "leave it out: conf.yml has no nfv secondary"
                yield Problem(path, f"no nfv secondary has the id {vm.secondary}", fix)


def _numbers(config: Config, line_of: LineOf) -> Iterator[Problem]:
    """Check that no two VMs share a port."""
    for section, key, kind in (("vms_ring", "rings", "ivshmem"), ("vms_vhost", "vhosts", "vhost")):
        seen: dict[int, Path] = {}
        for index, vm in enumerate(getattr(config, section)):
            numbers = getattr(vm, key)
            path: Path = (section, index, "id" if numbers is None else key)
            if vm.id is None:
                continue
            for number in numbers if numbers is not None else default_numbers(vm.id, 1):
                if number in seen:
                    other = seen[number]
                    if path[-1] == "id" == other[-1]:
                        continue  # _ids reports it
                    if other == path:
                        yield Problem(path, f"{kind}:{number} is named twice", "keep one of them")
                        continue
                    what = f"{kind}:{number} already belongs to {section}[{other[1]}]{at_line(line_of(other))}"
                    yield Problem(path, what, f"give each VM {kind} numbers of its own with {key}: [N]")
                seen.setdefault(number, path)
            if numbers is not None and not numbers:
                yield Problem(path, "the list is empty", f"name at least one {kind} number, or leave the key out")


def _vdevs(config: Config, line_of: LineOf) -> Iterator[Problem]:
    """Check that device names are unique, as EAL requires."""
    seen: dict[str, Path] = {}
    for index, vdev in enumerate(config.primary.vdevs):
        name, path = vdev.partition(",")[0], ("primary", "vdevs", index)
        if name in seen:
            yield Problem(
                path,
                f"device {name} is named twice{at_line(line_of(seen[name]))}",
                "number devices: net_tap0, net_tap1",
            )
        seen.setdefault(name, path)


def long_interface(vdev: str) -> tuple[str, str] | None:
    """Return problem and fix for a tap whose interface name is too long, otherwise None.

    The kernel refuses such a name, and DPDK continues without the device.
    """
    for option in vdev.split(",")[1:] if vdev.startswith("net_tap") else ():
        name = option.removeprefix("iface=")
        if name != option and len(name) > MAX_IFACE:
            what = f"{name!r} is {len(name)} characters long, and an interface name has {MAX_IFACE} at most"
            return what, f"write a shorter one, such as iface={name[:8]}"
    return None


def _taps(config: Config, _: LineOf) -> Iterator[Problem]:
    for index, vdev in enumerate(config.primary.vdevs):
        if wrong := long_interface(vdev):
            yield Problem(("primary", "vdevs", index), *wrong)


def _ssh_ports(config: Config, line_of: LineOf) -> Iterator[Problem]:
    base = config.vm.ssh_port
    if not base or config.vm.bridge is not None:
        return
    for vm in (*config.vms_ring, *config.vms_vhost):
        for key in ("pri_port", "sec_port", "rest_port"):
            if vm.id is not None and base + vm.id == getattr(config.controller, key):
                what = f"{base}: VM {vm.id} would forward port {base + vm.id}, which is controller.{key}"
                written = line_of(("vm", "ssh_port")) is not None
                path: Path = ("vm", "ssh_port") if written else ("controller", key)
                text = (
                    what if written else f"{base + vm.id} is vm.ssh_port ({base}) + {vm.id}, the ssh port of VM {vm.id}"
                )
                fix = "use another base, such as 30000" if written else "use another port, or set vm.ssh_port: 30000"
                yield Problem(path, text, fix)


def _bridge(config: Config, line_of: LineOf) -> Iterator[Problem]:
    """Refuse what a bridge replaces: a forwarded port for ssh, and the network to other machines."""
    vm, there = config.vm, ("vm", "bridge")
    if vm.bridge is None:
        return
    where = f"VMs on bridge {vm.bridge}{at_line(line_of(there))}"
    if vm.ssh_port and line_of(("vm", "ssh_port")) is not None:
        fix = "leave it out: ssh reaches a VM at its address on the bridge; sppsh -l shows it"
        yield Problem(("vm", "ssh_port"), f"{where} have no forwarded port", fix, others=frozenset({there}))
    if vm.network == "open":
        fix = "leave it out, or leave vm.bridge out"
        what = f"{where} reach other machines through the bridge only"
        yield Problem(("vm", "network"), what, fix, others=frozenset({there}))


def _steps(config: Config, _: LineOf) -> Iterator[Problem]:
    for index, step in enumerate(config.provision):
        path: Path = ("provision", index)
        if (step.run is None) == (step.file is None):
            yield Problem(
                path,
                "a step needs either a command, or file: and to:",
                "write '- COMMAND', or '- {file: PATH, to: /PATH}'",
            )
        elif (step.file is None) != (step.to is None):
            yield Problem(path, "file: and to: go together", "write '- {file: PATH, to: /PATH}'")


def _upstream(config: Config, line_of: LineOf) -> Iterator[Problem]:
    """Check keys that not every type of secondary, or only an upstream SPP tree, supports."""
    for index, secondary in enumerate(config.secondaries):
        at: tuple[str, int] = ("secondaries", index)
        if config.spp.dir is not None and secondary.port.startswith("tap:"):
            yield Problem(
                (*at, "port"), "spp_pcap of an upstream SPP tree captures phy and ring ports only", "use phy:0"
            )
        if secondary.type == "pcap" and secondary.vhost_client:
            yield Problem((*at, "vhost_client"), "spp_pcap has no vhost ports", "leave it out")
        if secondary.type != "pcap" and secondary.out_dir is not None:
            yield Problem((*at, "out_dir"), f"spp_{secondary.type} writes no files", "leave it out, or: type: pcap")
    for key in ("version", "controller", "python", "qemu"):
        if config.spp.dir is None and line_of(("spp", key)) is not None:
            yield Problem(
                ("spp", key), "needs an upstream SPP tree, and spp.dir names none", "name one, or leave it out"
            )


def _links(config: Config, line_of: LineOf) -> Iterator[Problem]:
    """Check the links of the conf.yml of one host, and that no part names a host."""
    seen: dict[tuple[str, str], Path] = {}
    for index, link in enumerate(config.links):
        at: Path = ("links", index)
        if link.between is not None:
            fix = "name the hosts: 'hosts: {east: {address: 192.0.2.11}, west: {address: 192.0.2.12}}'"
            yield Problem((*at, "between"), "a link is between two hosts, and conf.yml has no hosts:", fix)
        elif link.name is None or (link.netdev is None) == (link.nic is None):
            what = "in the conf.yml of one host, a link has name:, and netdev: or nic:"
            fix = "sppr up writes this file. For several hosts, add hosts:, and write '- {between: [east, west]}'"
            yield Problem(at, what, fix, others=frozenset({(*at, "name"), (*at, "netdev"), (*at, "nic")}))
        else:
            for key, value in (("name", link.name), ("netdev", link.netdev), ("nic", link.nic)):
                if value is not None and (other := seen.setdefault((key, value), at)) != at:
                    what = f"{value} is already the {key} of links[{other[1]}]{at_line(line_of(other))}"
                    yield Problem((*at, key), what, f"give each link a {key} of its own")
    for section in PARTS:
        for index, entry in enumerate(getattr(config, section)):
            if entry.host is not None:
                fix = f"leave it out, or add 'hosts: {{{entry.host}: {{address: 192.0.2.11}}}}'"
                yield Problem((section, index, "host"), f"{entry.host}: conf.yml has no hosts:", fix)


RULES = (
    _ids,
    _coremasks,
    _lcores,
    _ports,
    _reachable,
    _portmask,
    _vm_secondary,
    _numbers,
    _vdevs,
    _taps,
    _ssh_ports,
    _bridge,
    _steps,
    _upstream,
    _links,
    *chains.RULES,
)
