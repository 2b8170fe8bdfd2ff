"""Where the chains of a lab over several hosts run: their segments, one for each host that a chain enters, and the
VLAN ids in which they cross the links."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from sppr.config.chains import is_port
from sppr.config.hosts.model import PARTS, Link
from sppr.config.model import Config
from sppr.config.problem import Path, Problem
from sppr.errors import ConfigError

#: Host of each part that has one, by section and index in it.
Placed = Mapping[tuple[str, int], str]
#: Letters of a part's name, by section.
PREFIX = {"secondaries": "sec", "vms_ring": "vm_r", "vms_vhost": "vm_v"}
#: The first VLAN id of a pair on a link, and the last one.
FIRST_VLAN, LAST_VLAN = 2, 998


class Unplaced(Exception):
    """A part of a chain has no host yet."""


class Unresolved(Exception):
    """A chain cannot be divided into segments. ``problem``: why."""

    def __init__(self, path: Path, what: str, fix: str) -> None:
        super().__init__(what)
        self.problem = Problem(path, what, fix)


@dataclass(frozen=True)
class Segment:
    """Neighbours in the path of a chain that are on one host.

    ``start``: index of the first of them in the path. ``elements``: their names on that host.
    """

    host: str
    start: int
    elements: tuple[str, ...]


def part_name(section: str, part_id: int) -> str:
    """Return the name of a part on its host: ``vm_v11``."""
    return f"{PREFIX[section]}{part_id}"


def placed_by_hand(config: Config) -> dict[tuple[str, int], str]:
    """Return the parts whose host conf.yml names. In a lab of one host these are all of them."""
    only = next(iter(config.hosts)) if len(config.hosts) == 1 else None
    return {
        (section, index): host
        for section in PARTS
        for index, entry in enumerate(getattr(config, section))
        if (host := entry.host or only) is not None
    }


def local_name(element: str) -> tuple[str | None, str]:
    """Return the host that an element names, or None, and its name there: ``east/tap:0`` -> ("east", "tap:0")."""
    host, slash, name = element.partition("/")
    return (host, name) if slash else (None, element)


def valid_links(config: Config) -> list[tuple[int, Link]]:
    """Return the links between two hosts of conf.yml, the first of each pair, with their indices."""
    found: dict[frozenset[str], tuple[int, Link]] = {}
    for index, link in enumerate(config.links):
        pair = frozenset(link.ends)
        if len(pair) == 2 and pair <= config.hosts.keys():
            found.setdefault(pair, (index, link))
    return list(found.values())


class Segments:
    """The segments of the chains of ``config``, with the parts at ``placed``."""

    def __init__(self, config: Config, placed: Placed) -> None:
        self.config = config
        self._hosts: dict[str, list[str]] = {}
        self._unplaced: set[str] = set()
        for section in PARTS:
            for index, entry in enumerate(getattr(config, section)):
                name, host = part_name(section, entry.id or 0), placed.get((section, index))
                if host is not None:
                    self._hosts.setdefault(name, []).append(host)
                else:
                    self._unplaced.add(name)
        self._names = list(config.hosts)
        self._links = {frozenset(link.ends): link for _, link in valid_links(config)}

    def of(self, name: str) -> tuple[Segment, ...]:
        """Return the segments of a chain, in the order of its path.

        Raise Unresolved for an element without a host, and for neighbours without a link; Unplaced if a part has no
        host yet.
        """
        found: list[Segment] = []
        for place, element in enumerate(self.config.chains[name].path):
            at: Path = ("chains", name, "path", place)
            host, local = self.host_of(element, at)
            if found and found[-1].host == host:
                last = found.pop()
                found.append(Segment(host, last.start, (*last.elements, local)))
                continue
            if found:
                self._check_linked(found[-1].host, host, at)
            found.append(Segment(host, place, (local,)))
        return tuple(found)

    def all(self) -> dict[str, tuple[Segment, ...]]:
        """Return the segments of each chain that can be divided now."""
        found = {}
        for name in self.config.chains:
            with contextlib.suppress(Unplaced, Unresolved):
                found[name] = self.of(name)
        return found

    def link(self, first: str, second: str) -> Link:
        """Return the link between two hosts. Raise KeyError if there is none."""
        return self._links[frozenset((first, second))]

    def host_of(self, element: str, at: Path) -> tuple[str, str]:
        """Return the host of an element and its name there. Raise Unresolved or Unplaced."""
        host, local = local_name(element)
        hosts = self._names
        if host is not None and host not in self.config.hosts:
            raise Unresolved(at, f"{host[:40]}: conf.yml has no such host", f"use one of: {', '.join(hosts)}")
        if "/" in local:
            raise Unresolved(at, f"{element[:40]} has more than one /", f"write it as {hosts[0]}/tap:0")
        if is_port(local):
            if host is None and len(hosts) > 1:
                raise Unresolved(at, f"{local}: each host may have this port", f"write its host: {hosts[0]}/{local}")
            return host or hosts[0], local
        where = self._hosts.get(local, [])
        if host is not None and (host in where or local not in self._unplaced):
            if host not in where and where:
                raise Unresolved(
                    at, f"{local} is not on {host}: it is on {', '.join(where)}", f"write {where[0]}/{local}"
                )
            return host, local
        if local in self._unplaced:
            raise Unplaced
        if len(where) > 1:
            raise Unresolved(at, f"{local} is on {' and '.join(where)}", f"write its host: {where[0]}/{local}")
        return (where or hosts)[0], local  # the rules of one host report an unknown part

    def _check_linked(self, first: str, second: str, at: Path) -> None:
        if frozenset((first, second)) not in self._links:
            what = f"the path goes from {first} to {second}, and no link is between them"
            raise Unresolved(at, what, f"add to links: '- {{between: [{first}, {second}]}}'")


def link_name(link: Link) -> str:
    """Return the name of a link: ``east-west``."""
    return "-".join(link.ends)


def link_index(config: Config, name: str) -> int:
    """Return the index of the link with this name."""
    return next(index for index, link in valid_links(config) if link_name(link) == name)


def crossings(name: str, segments: tuple[Segment, ...], found: Segments) -> Iterator[tuple[str, str]]:
    """Yield for each time that a chain crosses a link: the name of the link, and a key of the crossing."""
    for number, (first, second) in enumerate(pairwise(segments)):
        yield link_name(found.link(first.host, second.host)), f"{name}/{number}"


#: The first VLAN id of the pair of each crossing, by link and key.
Vlans = Mapping[str, Mapping[str, int]]


def assign_vlans(found: Segments, kept: Vlans) -> dict[str, dict[str, int]]:
    """Return the first VLAN id of the pair of each crossing, by link and key.

    ``kept``: those of the last time. They stay, so that a new chain does not disturb others. Raise ConfigError if a
    link has no free pair.
    """
    wanted: dict[str, list[str]] = {}
    for name, segments in found.all().items():
        for link, key in crossings(name, segments, found):
            wanted.setdefault(link, []).append(key)
    result: dict[str, dict[str, int]] = {}
    for link, keys in wanted.items():
        known = set(keys)
        old = {key: vlan for key, vlan in kept.get(link, {}).items() if key in known}
        free = iter(sorted(set(range(FIRST_VLAN, LAST_VLAN + 1, 2)) - set(old.values())))
        for key in keys:
            if key not in old and (vlan := next(free, None)) is not None:
                old[key] = vlan
        if len(old) < len(keys):
            most = (LAST_VLAN - FIRST_VLAN) // 2 + 1
            what = f"link {link}: {len(keys)} chains cross it, and it has {most} pairs of VLAN ids"
            hint = "place the parts of a chain on one host"
            raise ConfigError(what, hint=hint, key=("links", link_index(found.config, link)))
        result[link] = old
    return result
