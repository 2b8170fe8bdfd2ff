"""Service chains in conf.yml: their elements, the ports their VMs need, and the rules that a chain must follow."""

import difflib
import re
from collections.abc import Callable, Iterator
from ipaddress import IPv4Interface
from typing import TYPE_CHECKING

from sppr import impairment
from sppr.config.problem import LineOf, Path, Problem, at_line

if TYPE_CHECKING:
    from sppr.config.model import Chain, Config, Vm

#: Port types that may end a chain. vhost and ivshmem ports are those of a VM, rings those of the plan.
END_TYPES = ("tap", "phy", "pcap", "memif", "nullpmd")
_PORT = re.compile(rf"(?:{'|'.join(END_TYPES)}):(?:0|[1-9][0-9]{{0,2}})")
#: A link to another host, and the VLAN id in which this host sends: 2 to 999.
_LINK = re.compile(r"link:([a-z][a-z0-9-]{0,30})(?:/([2-9]|[1-9][0-9]{1,2}))?")
_VM = re.compile(r"vm_([rv])([1-9][0-9]{0,2})")
_SECONDARY = re.compile(r"sec([1-9][0-9]{0,2})")


def is_port(element: str) -> bool:
    """Return whether an element of a path is a port such as ``tap:0``, or a link such as ``link:east-west``."""
    return _PORT.fullmatch(element) is not None or is_link(element)


def is_link(element: str) -> bool:
    """Return whether an element of a path is a link to another host."""
    return _LINK.fullmatch(element) is not None


def link_of(element: str) -> tuple[str, int | None]:
    """Return name and VLAN id of a link: ``link:east-west/2`` -> ("east-west", 2). ("", None) for other elements."""
    found = _LINK.fullmatch(element)
    return (found[1], int(found[2]) if found[2] else None) if found else ("", None)


def vm_of(config: "Config", element: str) -> "Vm | None":
    """Return the VM that an element of a path names, such as ``vm_r6``. None if conf.yml has no such VM."""
    if not (found := _VM.fullmatch(element)):
        return None
    section = config.vms_ring if found[1] == "r" else config.vms_vhost
    return next((vm for vm in section if vm.id == int(found[2])), None)


def secondary_id(name: str) -> int | None:
    """Return the id in the name of a secondary: ``sec3`` -> 3. None for any other text."""
    found = _SECONDARY.fullmatch(name)
    return int(found[1]) if found else None


def default_numbers(vm_id: int, count: int) -> tuple[int, ...]:
    """Return the numbers of a VM's ports: its id, then 100 more each (``vhost:11``, ``vhost:111``, …)."""
    return tuple(vm_id + 100 * i for i in range(count))


def ports_at(path: tuple[str, ...], place: int) -> int:
    """Return how many ports the VM at ``place`` needs: one towards each neighbour."""
    return (place > 0) + (place < len(path) - 1)


def ports_needed(config: "Config") -> dict[str, int]:
    """Return how many ports the chains need of each VM, by its part name. All chains of conf.yml count, also those
    that are left out this time, so that the ports of a VM do not depend on which other parts run."""
    needed: dict[str, int] = {}
    for chain in config.chains.values():
        for place, element in enumerate(chain.path):
            if not is_port(element):
                needed[element] = needed.get(element, 0) + ports_at(chain.path, place)
    return needed


def servers_by_via(config: "Config") -> dict[str, int]:
    """Return the id of the secondary that ``via`` gives each VM: VMs that have no ``secondary`` of their own.

    A hop between a port and a VM decides. A hop between two VMs is satisfied when one of them has its secondary; the
    other one follows only where the first is elsewhere.
    """
    servers: dict[str, int] = {}
    for chain in config.chains.values():
        hops = list(zip(chain.path, chain.path[1:], chain.via or (), strict=False))
        for first, second, via in hops:
            ends = [e for e in (first, second) if not is_port(e)]
            if len(ends) == 1:
                _serve(config, servers, ends[0], via)
        for first, second, via in hops:
            if is_port(first) or is_port(second):
                continue
            known = [_server(config, servers, vm) for vm in (first, second)]
            if secondary_id(via) not in known:
                _serve(config, servers, first if known[0] is None else second, via)
    return servers


def _server(config: "Config", servers: dict[str, int], element: str) -> int | None:
    vm = vm_of(config, element)
    return (vm.secondary if vm else None) or servers.get(element)


def _serve(config: "Config", servers: dict[str, int], element: str, via: str) -> None:
    number, vm = secondary_id(via), vm_of(config, element)
    if number is not None and vm is not None and vm.secondary is None:
        servers.setdefault(element, number)


def _paths(config: "Config", line_of: LineOf) -> Iterator[Problem]:
    """Check the elements of each path by themselves, and that no two chains share a port."""
    owner: dict[str, Path] = {}
    nics = {link.nic: link.name for link in config.links}
    for name, chain in config.chains.items():
        key: Path = ("chains", name, "path")
        if len(chain.path) < 2:
            yield Problem(key, "a chain has two elements or more", "write it as [tap:0, vm_v11, tap:1]")
            continue
        for place, element in enumerate(chain.path):
            at: Path = (*key, place)
            if not is_port(element):
                yield from _vm_element(config, chain, place, at)
            elif 0 < place < len(chain.path) - 1:
                what = f"{element}: a port may only be an end of the chain"
                yield Problem(at, what, "end the chain there, and begin another one behind it")
            elif is_link(element):
                yield from _link_element(config, element, at)
            elif element in nics:
                what = f"{element} is link {nics[element]}, which chains to another host share"
                yield Problem(at, what, "use another port, or let the chain go on to the other host")
            elif element not in owner:
                owner[element] = at
            elif (other := owner[element])[1] == name:
                yield Problem(at, f"{element} is an end twice{at_line(line_of(other))}", "use two ports")
            elif chain.match is None or config.chains[str(other[1])].match is None:
                what = f"{element} is already an end of chain {other[1]}{at_line(line_of(other))}"
                yield Problem(at, what, "give each chain ports of its own, or both of them a match:")


def _link_element(config: "Config", element: str, at: Path) -> Iterator[Problem]:
    name, vlan = link_of(element)
    known = [str(link.name) for link in config.links]
    if name not in known:
        fix = (
            f"links of this file: {', '.join(known)}" if known else "add hosts: and links: to the conf.yml of all hosts"
        )
        yield Problem(at, f"conf.yml has no link {name}", fix)
    elif vlan is None:
        what = f"{element} has no VLAN id, in which this host sends the frames of the chain"
        yield Problem(at, what, f"write it as {element}/2; the other host then has {element}/3")


def _link_vlans(config: "Config", line_of: LineOf) -> Iterator[Problem]:
    """Check that each end at a link has a pair of VLAN ids of its own. The ids of a pair differ in the lowest bit."""
    seen: dict[tuple[str, int], Path] = {}
    for name, chain in config.chains.items():
        for place in dict.fromkeys((0, len(chain.path) - 1)) if chain.path else ():
            at: Path = ("chains", name, "path", place)
            link, vlan = link_of(chain.path[place])
            if vlan is not None and (other := seen.setdefault((link, vlan | 1), at)) != at:
                what = f"VLAN {vlan} of link {link} is in the pair of chain {other[1]}{at_line(line_of(other))}"
                yield Problem(at, what, "use an id of another pair: 2 and 3, 4 and 5, ...")


def _matches(config: "Config", line_of: LineOf) -> Iterator[Problem]:
    """Check that the matches of chains at a shared end differ, and that a chain with a match has an end for it."""
    seen: dict[tuple[str, str], Path] = {}
    for name, chain in config.chains.items():
        key: Path = ("chains", name, "match")
        if chain.match is None or len(chain.path) < 2:
            continue
        entries = [(chain.path[0], chain.match_words())]
        if chain.direction == "both":
            entries.append((chain.path[-1], chain.match_words(reverse=True)))
        entries = [entry for entry in entries if is_port(entry[0]) and not is_link(entry[0])]
        leaves_only = is_link(chain.path[0]) and is_port(chain.path[-1]) and not is_link(chain.path[-1])
        if not entries and not leaves_only:  # the match lets a chain that only leaves there share the port
            what = "no frames enter this chain at a port, so there is nothing to classify"
            yield Problem(key, what, "leave match out, or end the chain at a port")
        for port, words in entries:
            if (other := seen.setdefault((port, words), key)) != key:
                what = f"chain {other[1]} takes the same frames of {port} ({words}){at_line(line_of(other))}"
                yield Problem(key, what, "give each chain that shares an end a match of its own")


def _vm_element(config: "Config", chain: "Chain", place: int, at: Path) -> Iterator[Problem]:
    element = chain.path[place]
    known = _vm_names(config)
    if element in known:
        if element in chain.path[:place]:
            yield Problem(at, f"{element} is in this path twice", "name each VM once in a path")
        return
    shown = element if len(element) < 40 else f"{element[:40]}…"
    if element.startswith("link:"):
        yield Problem(
            at, f"{shown} is not a link with a VLAN id", "write it as link:east-west/2, with an id of 2 to 999"
        )
        return
    host, slash, local = element.partition("/")
    if slash and not config.hosts:
        fix = f"write {local[:40]}, or add 'hosts: {{{host[:15]}: {{address: 192.0.2.11}}}}'"
        yield Problem(at, f"{shown} names a host, and conf.yml has no hosts:", fix)
        return
    if _VM.fullmatch(element):
        fix = f"conf.yml has: {', '.join(known)}" if known else "add it to vms_ring or vms_vhost"
        yield Problem(at, f"{shown}: conf.yml has no such VM", fix)
        return
    number = re.search(r"[0-9]+$", element)
    close = [
        name for name in known if number and name.endswith(number[0]) and re.fullmatch(r"vm_[rv]0*" + number[0], name)
    ]
    close = close or difflib.get_close_matches(element, known, n=1, cutoff=0.6)
    types = ", ".join(f"{kind}:N" for kind in END_TYPES)
    fix = (
        f"did you mean {close[0]}?"
        if close
        else f"write a VM as sppr status shows it, such as vm_v11, or a port: {types}"
    )
    yield Problem(at, f"{shown} is neither a VM nor a port that can end a chain", fix)


def _vm_names(config: "Config") -> list[str]:
    return [
        f"vm_{kind}{vm.id}" for kind, section in (("r", config.vms_ring), ("v", config.vms_vhost)) for vm in section
    ]


def _impairments(config: "Config", _: LineOf) -> Iterator[Problem]:
    for name, chain in config.chains.items():
        if chain.impair is None:
            continue
        try:
            impairment.parse(chain.impair.words())
        except ValueError as error:
            key = next((k for k in impairment.KEYS if str(error).startswith((f"{k}=", f"{k} "))), None)
            path: Path = ("chains", name, "impair", *([key] if key else []))
            yield Problem(path, str(error).removeprefix(f"{key}="), "see the keys of impair in docs/conf.md")


def _enough_ports(config: "Config", _: LineOf) -> Iterator[Problem]:
    """Check that ``rings`` and ``vhosts`` have enough numbers for the chains."""
    needed = ports_needed(config)
    for section, key, letter in (("vms_ring", "rings", "r"), ("vms_vhost", "vhosts", "v")):
        for index, vm in enumerate(getattr(config, section)):
            numbers, most = getattr(vm, key), needed.get(f"vm_{letter}{vm.id}", 0)
            if numbers is not None and len(numbers) < most:
                what = f"names {len(numbers)} port{'s' * (len(numbers) != 1)}, and the chains of VM {vm.id} need {most}"
                fix = f"write [{', '.join(map(str, default_numbers(vm.id, most)))}], or leave the key out"
                yield Problem((section, index, key), what, fix)


def _via(config: "Config", line_of: LineOf) -> Iterator[Problem]:
    known = [f"sec{s.id}" for s in config.secondaries if s.type == "nfv"]
    for name, chain in config.chains.items():
        key: Path = ("chains", name, "via")
        hops = len(chain.path) - 1
        if chain.via is None or hops < 1:
            continue
        if len(chain.via) != hops:
            count = len(chain.via)
            what = (
                f"names {count} secondar{'y' if count == 1 else 'ies'}, and the path has {hops} hop{'s' * (hops != 1)}"
            )
            yield Problem(key, what, "name one for each hop, or leave via out")
            continue
        for place, via in enumerate(chain.via):
            if via not in known:
                fix = f"use one of: {', '.join(known)}" if known else "leave via out: conf.yml has no nfv secondary"
                yield Problem((*key, place), f"{via!r} is not an nfv secondary", fix)
                continue
            ends = [vm_of(config, e) for e in chain.path[place : place + 2] if not is_port(e)]
            served = [vm.secondary if vm else None for vm in ends]
            if served and None not in served and secondary_id(via) not in served:
                vm = next(e for e in chain.path[place : place + 2] if not is_port(e))
                what = f"{via} cannot reach the ports of {vm}: sec{served[0]} serves them"
                what += _of_secondary(config, vm, line_of)
                yield Problem((*key, place), what, f"write sec{served[0]}, or change secondary: of that VM")


def _of_secondary(config: "Config", element: str, line_of: LineOf) -> str:
    vm = vm_of(config, element)
    for section in ("vms_ring", "vms_vhost"):
        for index, one in enumerate(getattr(config, section)):
            if one is vm:
                return at_line(line_of((section, index, "secondary")))
    return ""


def _functions(config: "Config", _: LineOf) -> Iterator[Problem]:
    for name, chain in config.chains.items():
        inner = [element for element in chain.path[1:-1] if not is_port(element)]
        for element in chain.functions:
            if element not in inner:
                fix = f"service functions of this chain: {', '.join(inner)}" if inner else "leave functions out"
                what = f"{element[:40]} is not a VM in the middle of this path"
                yield Problem(("chains", name, "functions", element), what, fix)


def _ends(config: "Config", line_of: LineOf) -> Iterator[Problem]:
    """Check the namespaces of ends: taps only, a namespace each, and within a chain an address each."""
    namespaces: dict[str, Path] = {}
    for name, chain in config.chains.items():
        addresses: dict[str, Path] = {}
        for port, end in chain.ends.items():
            key: Path = ("chains", name, "ends", port)
            ends = [element for element in (chain.path[:1] + chain.path[-1:]) if element.startswith("tap:")]
            if port not in ends:
                fix = f"taps at the ends of this chain: {', '.join(ends)}" if ends else "leave ends out"
                yield Problem(key, f"{port[:40]} is not a tap at an end of this chain", fix)
            address = str(IPv4Interface(end.address).ip) if end.address else None
            for kind, value, seen in (("netns", end.netns, namespaces), ("address", address, addresses)):
                if value in seen:
                    fix = f"give each end {'a namespace' if kind == 'netns' else 'an address'} of its own"
                    what = f"{value} is already the {kind} of {seen[value][3]}{at_line(line_of(seen[value]))}"
                    yield Problem((*key, kind), what, fix)
                elif value is not None:
                    seen[value] = (*key, kind)


def _patches(config: "Config", line_of: LineOf) -> Iterator[Problem]:
    """Check the entries of ``patches:`` by themselves. The planner checks conflicts with ports of chains."""
    known = {"pri", *(f"sec{s.id}" for s in config.secondaries if s.type == "nfv"), *_vm_names(config)}
    seen: dict[tuple[str, str], Path] = {}
    for index, entry in enumerate(config.patches):
        for part, text in entry.items():
            at: Path = ("patches", index, part)
            if part not in known:
                yield Problem(
                    at, f"{part}: this lab has no such forwarding part", f"parts that do: {', '.join(sorted(known))}"
                )
            source = text.partition(" -> ")[0]
            if part.startswith("vm_") and " " in source:
                yield Problem(at, f"{part}: a guest has no patches for some frames of a port", "leave the match out")
            if (part, source) in seen:
                what = f"{source} of {part} is already patched{at_line(line_of(seen[part, source]))}"
                yield Problem(at, what, "a source has one destination: keep one of them")
            seen.setdefault((part, source), at)


def _upstream(config: "Config", _: LineOf) -> Iterator[Problem]:
    """Refuse what an upstream SPP tree cannot do."""
    if config.spp.dir is None:
        return
    if config.links:
        yield Problem(("links",), "upstream SPP has no ports for links", "use our own data plane: no spp.dir")
    for name, chain in config.chains.items():
        for place, element in enumerate(chain.path):
            if element.startswith("vm_r"):
                what = f"{element}: ring VMs of an upstream SPP tree have no ports that a chain could use"
                yield Problem(
                    ("chains", name, "path", place), what, "use a vhost VM, or our own data plane: no spp.dir"
                )
        if chain.match is not None:
            what = "nfv of an upstream SPP tree cannot classify frames"
            yield Problem(("chains", name, "match"), what, "leave match out, or use our own data plane: no spp.dir")
        if chain.impair is not None:
            what = "upstream SPP has no impairments"
            yield Problem(("chains", name, "impair"), what, "leave impair out, or use our own data plane: no spp.dir")
        for port in chain.ends:
            what = (
                "taps of an upstream SPP tree stay in the namespace of the host (their frames disconnect its primary)"
            )
            yield Problem(("chains", name, "ends", port), what, "leave ends out, or use our own data plane: no spp.dir")


RULES: tuple[Callable[["Config", LineOf], Iterator[Problem]], ...] = (
    _paths, _link_vlans, _matches, _impairments, _enough_ports, _via, _functions, _ends, _patches, _upstream,
)  # fmt: skip
