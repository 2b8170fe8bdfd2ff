"""Rules for the conf.yml of a lab over several hosts. The lab of each host must follow the rules of one host, too."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address

from sppr.config import rules
from sppr.config.chains import is_port
from sppr.config.hosts.model import PARTS, SECRETS, Link
from sppr.config.hosts.segments import (
    Placed,
    Segment,
    Segments,
    Unplaced,
    Unresolved,
    link_name,
    local_name,
    placed_by_hand,
)
from sppr.config.hosts.split import HostLab, link_address, link_vni, split
from sppr.config.model import Chain, Config
from sppr.config.problem import LineOf, Path, Problem, at_line
from sppr.errors import ConfigError

#: Sections whose problems are the same on each host.
_COMMON = ("controller", "primary", "vm", "provision", "spp", "images")


def check(config: Config, line_of: LineOf = lambda _: None, wrong: Collection[Path] = frozenset()) -> list[Problem]:
    """Return all problems of ``config``, as ``sppr.config.rules.check``. Parts without a host are not checked yet."""
    placed = {part: host for part, host in placed_by_hand(config).items() if host in config.hosts}
    found = [problem for rule in RULES for problem in rule(config, line_of)]
    found += check_chains(config, placed, line_of)
    reported = {problem.path for problem in found}
    try:
        labs = split(config, placed)
    except ConfigError as e:
        found.append(Problem(e.key, e.what, e.hint or ""))
        labs = {}
    unplaced = any(("secondaries", index) not in placed for index in range(len(config.secondaries)))
    for problem in check_each(config, labs, line_of):
        again = problem.path[:1] == ("links",) or any(problem.path[:n] in reported for n in range(1, 9))
        early = unplaced and ("via" in problem.path or problem.path[-1:] == ("secondary",))
        if not again and not early:
            found.append(problem)
    return [problem for problem in found if not problem.others & set(wrong) and problem.path not in wrong]


def check_each(config: Config, labs: Mapping[str, HostLab], line_of: LineOf = lambda _: None) -> list[Problem]:
    """Return the problems of the labs of all hosts, with their places in the conf.yml of all hosts."""
    found: dict[tuple[Path, str], Problem] = {}
    for host, lab in labs.items():
        for one in rules.check(lab.config, lambda path, lab=lab: line_of(lab.original(path))):  # type: ignore[misc]
            path = lab.original(one.path)
            common = bool(path) and path[0] in _COMMON
            what = one.what if common or len(config.hosts) == 1 else f"{host}: {one.what}"
            others = frozenset(lab.original(other) for other in one.others)
            found.setdefault((path, what), replace(one, path=path, what=what, others=others))
    return list(found.values())


def _hosts(config: Config, line_of: LineOf) -> Iterator[Problem]:
    """Check that hosts are different machines, and that no variable holds a secret."""
    seen: dict[tuple[str, int], str] = {}
    for name, host in config.hosts.items():
        at: Path = ("hosts", name)
        other = seen.setdefault((host.address, host.port or 22), name)
        if other != name:
            what = f"{host.address} is already the address of {other}{at_line(line_of(('hosts', other)))}"
            yield Problem((*at, "address"), what, "give each host an address of its own")
        for key in host.vars:
            if any(key.endswith(word) or word in key.split("_") for word in SECRETS):
                fix = "leave it out: use a key for ssh, or Ansible's own --ask-pass, --ask-become-pass and vault"
                yield Problem((*at, "vars", key), "a secret does not belong in conf.yml", fix)


def _parts(config: Config, _: LineOf) -> Iterator[Problem]:
    for section in PARTS:
        for index, entry in enumerate(getattr(config, section)):
            if entry.host is not None and entry.host not in config.hosts:
                fix = f"use one of: {', '.join(config.hosts)}"
                yield Problem((section, index, "host"), f"{entry.host}: conf.yml has no such host", fix)


def _links(config: Config, line_of: LineOf) -> Iterator[Problem]:
    """Check the hosts of each link, that a pair has one link, and that no two links have one VNI or NIC."""
    names: dict[frozenset[str], Path] = {}
    labels: dict[str, Path] = {}
    made_of: dict[object, Path] = {}
    for index, link in enumerate(config.links):
        at: Path = ("links", index)
        if not link.ends:
            fix = f"write '- {{between: [{', '.join([*config.hosts, 'west'][:2])}]}}'"
            yield Problem(at, "a link has no hosts", fix, others=frozenset({(*at, "between"), (*at, "phy")}))
            continue
        for key in ("name", "netdev", "nic", "peer"):
            if getattr(link, key) is not None:
                yield Problem((*at, key), "only the conf.yml of one host has this key", "leave it out")
        ends: Path = (*at, "between" if link.between else "phy")
        unknown = [host for host in link.ends if host not in config.hosts]
        if unknown:
            fix = f"use two of: {', '.join(config.hosts)}"
            yield Problem(ends, f"{unknown[0]}: conf.yml has no such host", fix)
            continue
        if link.ends[0] == link.ends[1]:
            yield Problem(ends, f"{link.ends[0]} has no link to itself", "name two hosts")
            continue
        other = names.setdefault(frozenset(link.ends), at)
        if other != at:
            what = f"{link_name(link)} is already links[{other[1]}]{at_line(line_of(other))}"
            yield Problem(ends, what, "several chains share a link: keep one of them")
            continue
        if (other := labels.setdefault(link_name(link), at)) != at:
            what = f"its name would be {link_name(link)}, as that of links[{other[1]}]{at_line(line_of(other))}"
            yield Problem(ends, what, f"write the hosts in the other order, {_pair(link.ends[::-1])}")
            continue
        if link.phy is not None:
            yield from _cable(link, at, made_of, line_of)
            continue
        yield from _addresses(config, link.ends, line_of)
        if (first := made_of.setdefault(link_vni(config, link), at)) != at:
            what = f"links[{first[1]}]{at_line(line_of(first))} has the same VXLAN network identifier"
            yield Problem((*at, "vni"), what, "give each link one of its own, or leave vni out")


def _cable(link: Link, at: Path, made_of: dict[object, Path], line_of: LineOf) -> Iterator[Problem]:
    """Check a link between two NICs. ``made_of``: the place of the link that has a NIC of a host."""
    given = [key for key in ("via", "vni", "port") if key in link.model_fields_set]
    for key in given:
        yield Problem((*at, key), "a cable (phy:) has no VXLAN", f"leave {key} out, or phy")
    if link.between and set(link.between) != set(link.phy or ()):
        what = f"names {' and '.join(link.phy or ())}, and between names {' and '.join(link.between)}"
        yield Problem((*at, "phy"), what, "name the same two hosts, or leave between out")
        return
    for host, nic in (link.phy or {}).items():
        if (other := made_of.setdefault((host, nic), at)) != at:
            what = f"{nic} of {host} is already a NIC of links[{other[1]}]{at_line(line_of(other))}"
            yield Problem((*at, "phy", host), what, "a cable has one NIC at each end")


def _pair(hosts: tuple[str, ...]) -> str:
    return f"[{', '.join(hosts)}]"


def _addresses(config: Config, hosts: tuple[str, ...], line_of: LineOf) -> Iterator[Problem]:
    """Check that a link has two IPv4 addresses."""
    first, second = (link_address(config, host) for host in hosts)
    if first == second:
        at: Path = ("hosts", hosts[1], "link_address" if config.hosts[hosts[1]].link_address else "address")
        what = f"{second} is also the address of {hosts[0]}{at_line(line_of(('hosts', hosts[0])))} for their link"
        fix = "add link_address: to both hosts, with addresses at which they reach each other"
        others: Path = ("hosts", hosts[0], "address")
        yield Problem(at, what, fix, others=frozenset({others}))
        return
    for host in hosts:
        address = link_address(config, host)
        try:
            IPv4Address(address)
        except ValueError:
            what = f"{address} is not an IPv4 address, and a link ends there"
            yield Problem(("hosts", host, "address"), what, "add link_address: with the IPv4 address of this host")


def _not_over_hosts(config: Config, _: LineOf) -> Iterator[Problem]:
    """Refuse what a lab over several hosts does not have."""
    if config.spp.dir is not None:
        what = "upstream SPP has no ports for links between hosts"
        yield Problem(("spp", "dir"), what, "use our own data plane: no spp.dir")
    if config.patches:
        what = "a patch names no host, so a conf.yml with hosts: has none"
        yield Problem(("patches",), what, "write it as a chain: 'chains: {web: {path: [east/tap:0, east/tap:1]}}'")
    for key in ("host", "rest_host"):
        if not IPv4Address(getattr(config.controller, key)).is_loopback:
            what = "the controllers of a lab over several hosts are reached through ssh only"
            yield Problem(("controller", key), what, "leave it out: each controller is at 127.0.0.1 of its host")


def check_chains(config: Config, placed: Placed, line_of: LineOf = lambda _: None) -> Iterator[Problem]:
    """Check that each chain can be divided into segments, and its keys that name elements."""
    found = Segments(config, placed)
    for name, chain in config.chains.items():
        by_hand = [(place, element) for place, element in enumerate(chain.path) if "link:" in element]
        for place, element in by_hand:
            what = "a path names no links: a chain crosses the link between the hosts of two neighbours"
            yield Problem(("chains", name, "path", place), what, f"leave {element[:40]} out")
        if by_hand:
            continue
        try:
            segments = found.of(name)
        except Unplaced:
            continue
        except Unresolved as e:
            yield e.problem
            continue
        if len(segments) > 1:
            yield from _several_segments(name, chain, segments, line_of)
        yield from _functions(name, chain, segments)
        yield from _ends(config, name, chain)


def _several_segments(name: str, chain: Chain, segments: Sequence[Segment], line_of: LineOf) -> Iterator[Problem]:
    """Check what the rules of one host cannot see in a chain over several hosts."""
    key: Path = ("chains", name)
    if chain.via:
        what = "names secondaries of one host, and this chain is on several"
        yield Problem((*key, "via"), what, "leave via out, or set secondary: of its VMs")
    ends = chain.path[:1] + (chain.path[-1:] if chain.direction == "both" else ())
    if chain.match is not None and not any(is_port(local_name(element)[1]) for element in ends):
        what = "no frames enter this chain at a port, so there is nothing to classify"
        yield Problem((*key, "match"), what, "leave match out, or end the chain at a port")
    seen: dict[tuple[str, str], Path] = {}
    for segment in segments:
        for place, element in enumerate(segment.elements, segment.start):
            at: Path = (*key, "path", place)
            if (other := seen.setdefault((segment.host, element), at)) != at:
                what = f"{segment.host}/{element} is in this path twice{at_line(line_of(other))}"
                yield Problem(at, what, "name each part and each port once in a path")


def _functions(name: str, chain: Chain, segments: Sequence[Segment]) -> Iterator[Problem]:
    """Check that ``functions`` names VMs of the path. The rules of one host check that they are in the middle."""
    for key in chain.functions:
        host, local = local_name(key)
        hosts = [segment.host for segment in segments if local in segment.elements and host in (None, segment.host)]
        at: Path = ("chains", name, "functions", key)
        if not hosts:
            vms = [element for element in chain.path if not is_port(local_name(element)[1])]
            fix = f"VMs of this path: {', '.join(vms)}" if vms else "leave functions out"
            yield Problem(at, f"{key[:40]} is not a VM of this path", fix)
        elif len(hosts) > 1:
            yield Problem(at, f"{key[:40]} is on {' and '.join(hosts)}", f"write its host: {hosts[0]}/{local}")


def _ends(config: Config, name: str, chain: Chain) -> Iterator[Problem]:
    """Check that ``ends`` names ends of the path. The rules of one host check that they are taps."""
    only = next(iter(config.hosts)) if len(config.hosts) == 1 else ""

    def full(element: str) -> str:
        return f"{only}/{element}" if local_name(element)[0] is None else element

    ends = [*chain.path[:1], *chain.path[-1:]]
    for port in chain.ends:
        if full(port) not in map(full, ends):
            taps = [element for element in ends if local_name(element)[1].startswith("tap:")]
            fix = f"taps at the ends of this chain: {', '.join(taps)}" if taps else "leave ends out"
            yield Problem(("chains", name, "ends", port), f"{port[:40]} is not an end of this chain", fix)


RULES = (_hosts, _parts, _links, _not_over_hosts)
