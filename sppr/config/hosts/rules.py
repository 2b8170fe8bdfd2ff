"""Rules for the conf.yml of a lab over several hosts. The lab of each host must follow the rules of one host, too."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from sppr.config import rules
from sppr.config.hosts.model import PARTS, SECRETS
from sppr.config.hosts.segments import Placed, Segments, Unplaced, Unresolved, link_name, local_name, placed_by_hand
from sppr.config.hosts.split import HostLab, link_address, link_vni, split
from sppr.config.model import Config
from sppr.config.problem import LineOf, Path, Problem, at_line

#: Sections whose problems are the same on each host.
_COMMON = ("controller", "primary", "vm", "provision", "spp", "images")


def check(config: Config, line_of: LineOf = lambda _: None, wrong: Collection[Path] = frozenset()) -> list[Problem]:
    """Return all problems of ``config``, as ``sppr.config.rules.check``. Parts without a host are not checked yet."""
    placed = placed_by_hand(config)
    found = [problem for rule in RULES for problem in rule(config, line_of)]
    found += check_chains(config, placed)
    known = dict.fromkeys(config.hosts, True)
    placed = {part: host for part, host in placed.items() if host in known}
    found += check_each(config, split(config, placed), line_of)
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
    """Check the hosts of each link, that a pair has one link, and that no two links have one VNI."""
    names: dict[frozenset[str], Path] = {}
    vnis: dict[int, Path] = {}
    for index, link in enumerate(config.links):
        at: Path = ("links", index)
        if link.between is None:
            yield Problem(at, "a link has no hosts", f"write '- {{between: [{', '.join(list(config.hosts)[:2])}]}}'")
            continue
        for key in ("name", "netdev", "peer"):
            if getattr(link, key) is not None:
                yield Problem((*at, key), "only the conf.yml of one host has this key", "leave it out")
        unknown = [host for host in link.between if host not in config.hosts]
        if unknown:
            fix = f"use two of: {', '.join(config.hosts)}"
            yield Problem((*at, "between"), f"{unknown[0]}: conf.yml has no such host", fix)
            continue
        if link.between[0] == link.between[1]:
            yield Problem((*at, "between"), f"{link.between[0]} has no link to itself", "name two hosts")
            continue
        other = names.setdefault(frozenset(link.between), at)
        if other != at:
            what = f"{link_name(link)} is already links[{other[1]}]{at_line(line_of(other))}"
            yield Problem((*at, "between"), what, "several chains share a link: keep one of them")
            continue
        yield from _addresses(config, link.between)
        if (first := vnis.setdefault(link_vni(config, link), at)) != at:
            what = f"links[{first[1]}]{at_line(line_of(first))} has the same VXLAN network identifier"
            yield Problem((*at, "vni"), what, "give each link one of its own, or leave vni out")


def _addresses(config: Config, hosts: tuple[str, ...]) -> Iterator[Problem]:
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
        yield Problem(("patches",), "a patch belongs to one host, and conf.yml has several", "write it as a chain")
    for key in ("host", "rest_host"):
        if not IPv4Address(getattr(config.controller, key)).is_loopback:
            what = "the controllers of a lab over several hosts are reached through ssh only"
            yield Problem(("controller", key), what, "leave it out: 127.0.0.1 of each host")


def check_chains(config: Config, placed: Placed) -> Iterator[Problem]:
    """Check that each chain can be divided into segments."""
    found = Segments(config, placed)
    for name, chain in config.chains.items():
        for place, element in enumerate(chain.path):
            if element.startswith("link:"):
                what = "links are found by the hosts of the elements"
                yield Problem(("chains", name, "path", place), what, f"leave {element[:40]} out")
        try:
            segments = found.of(name)
        except Unplaced:
            continue
        except Unresolved as e:
            yield e.problem
            continue
        if chain.via and len(segments) > 1:
            what = "names secondaries of one host, and this chain is on several"
            yield Problem(("chains", name, "via"), what, "leave via out, or set secondary: of its VMs")
        for port in chain.ends:
            ends = [element for element in (chain.path[:1] + chain.path[-1:]) if "tap:" in element]
            if local_name(port)[0] is None and port not in chain.path:
                fix = f"taps at the ends of this chain: {', '.join(ends)}" if ends else "leave ends out"
                yield Problem(("chains", name, "ends", port), f"{port[:40]} is not an end of this chain", fix)


RULES = (_hosts, _parts, _links, _not_over_hosts)
