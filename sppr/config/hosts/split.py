"""Divide the conf.yml of a lab over several hosts into one conf.yml for each host, which the ordinary commands run."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from sppr.config.chains import is_port
from sppr.config.hosts.model import PARTS, Link
from sppr.config.hosts.segments import (
    Placed,
    Segment,
    Segments,
    Vlans,
    assign_vlans,
    link_name,
    local_name,
    valid_links,
)
from sppr.config.model import Chain, Config
from sppr.config.problem import Path

#: The first line of the conf.yml of a host.
HEADER = "# sppr up made this file from the conf.yml of a lab over several hosts, and replaces it.\n"
#: The first VXLAN network identifier that is chosen; those below are for people.
FIRST_VNI = 4096


@dataclass(frozen=True)
class HostLab:
    """The lab of one host.

    ``config``: its conf.yml. ``sources``: by section, the index in the conf.yml of all hosts of each entry.
    ``chains``: by the name of a chain here, its name in the conf.yml of all hosts, and its segment.
    """

    host: str
    config: Config
    sources: Mapping[str, list[int]] = field(default_factory=dict)
    chains: Mapping[str, tuple[str, Segment]] = field(default_factory=dict)

    def original(self, path: Path) -> Path:
        """Return the place in the conf.yml of all hosts for a place in that of this host."""
        section, *rest = path or ("",)
        if section in self.sources and rest and isinstance(rest[0], int):
            return (section, self.sources[str(section)][rest[0]], *rest[1:])
        if section == "chains" and rest and str(rest[0]) in self.chains:
            name, segment = self.chains[str(rest[0])]
            if rest[1:2] == ["path"] and len(rest) > 2 and isinstance(rest[2], int):
                last = segment.start + len(segment.elements) - 1
                behind_link = self.config.chains[str(rest[0])].path[0].startswith("link:")
                return ("chains", name, "path", min(max(segment.start + rest[2] - behind_link, segment.start), last))
            return ("chains", name, *rest[1:])
        return path


def vni_of(session: str, link: Link, addresses: tuple[str, str]) -> int:
    """Return the VXLAN network identifier of a link: that of conf.yml, or one of FIRST_VNI to 2^24 - 1.

    It does not depend on the order of the two hosts.
    """
    if link.vni is not None:
        return link.vni
    text = "\n".join((session, "-".join(sorted(link.ends)), *sorted(addresses)))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return FIRST_VNI + int.from_bytes(digest, "big") % ((1 << 24) - FIRST_VNI)


def link_address(config: Config, host: str) -> str:
    """Return the address of a host for links."""
    found = config.hosts[host]
    return found.link_address or found.address


def link_vni(config: Config, link: Link) -> int:
    """Return the VXLAN network identifier of a link of ``config``."""
    first, second = link.ends
    return vni_of(config.session, link, (link_address(config, first), link_address(config, second)))


def other_host(link: Link, host: str) -> str:
    """Return the host at the other end of a link."""
    return next(other for other in link.ends if other != host)


def netdev(config: Config, link: Link) -> str:
    """Return the name of the interface of a link, which its VNI makes unique on a host."""
    return f"sppvx{link_vni(config, link):06x}"


def split(config: Config, placed: Placed, vlans: Vlans | None = None) -> dict[str, HostLab]:
    """Return the lab of each host.

    Parts without a host in ``placed`` are left out, and so are chains that cannot be divided. ``vlans``: the result of
    ``assign_vlans``; by default new ids.
    """
    found = Segments(config, placed)
    vlans = assign_vlans(found, {}) if vlans is None else vlans
    labs = {}
    valid = valid_links(config)
    chains: dict[str, list[tuple[str, Segment, Chain]]] = {host: [] for host in config.hosts}
    for name, segments in found.all().items():
        for number, segment in enumerate(segments):
            chain = _chain_of(config.chains[name], name, segments, number, found, vlans)
            chains[segment.host].append((name, segment, chain))
    at: dict[str, dict[str, list[int]]] = {host: {section: [] for section in PARTS} for host in config.hosts}
    for section in PARTS:
        for index in range(len(getattr(config, section))):
            if (host := placed.get((section, index))) in at:
                at[str(host)][section].append(index)
    for host in config.hosts:
        named = _with_names(chains[host])
        update: dict[str, Any] = {"hosts": {}, "chains": {name: chain for name, (_, _, chain) in named.items()}}
        sources = at[host]
        if (user := config.hosts[host].user) is not None and config.hosts[host].become:
            allowed = (*config.controller.allow_users, user)  # ssh connects as this user, and the lab is root's
            update["controller"] = config.controller.model_copy(update={"allow_users": allowed})
        for section in PARTS:
            entries = getattr(config, section)
            update[section] = tuple(entries[i].model_copy(update={"host": None}) for i in sources[section])
        links = [i for i, link in valid if host in link.ends]
        update["links"] = tuple(_local_link(config, config.links[i], host) for i in links)
        origins = {name: (origin, segment) for name, (origin, segment, _) in named.items()}
        labs[host] = HostLab(host, config.model_copy(update=update), {**sources, "links": links}, origins)
    return labs


def _local_link(config: Config, link: Link, host: str) -> Link:
    """Return a link as the conf.yml of one host has it."""
    peer = link_address(config, other_host(link, host))
    made_of = {"netdev": netdev(config, link)} if link.phy is None else {"nic": link.phy.get(host)}
    update = {"name": link_name(link), "peer": peer, **made_of}
    return Link().model_copy(update=update)  # an address that is none is reported with its place in conf.yml


def _with_names(chains: list[tuple[str, Segment, Chain]]) -> dict[str, tuple[str, Segment, Chain]]:
    """Return the chains of a host by their names there: a chain that comes again is ``web-2``."""
    named: dict[str, tuple[str, Segment, Chain]] = {}
    taken = {name for name, _, _ in chains}
    for one in chains:
        name, number = one[0], 1
        while name in named or (number > 1 and name in taken):
            number += 1
            name = f"{one[0][: 31 - len(str(number))]}-{number}"
        named[name] = one
    return named


def _chain_of(
    chain: Chain, name: str, segments: tuple[Segment, ...], number: int, found: Segments,
    vlans: Vlans,
) -> Chain:  # fmt: skip
    """Return the segment of a chain as a chain of its host. It ends at links where the chain goes on elsewhere."""
    segment = segments[number]

    def link(to: int, offset: int) -> str:
        name_of = link_name(found.link(segment.host, segments[to].host))
        return f"link:{name_of}/{vlans[name_of][f'{name}/{min(to, number)}'] + offset}"

    before = (link(number - 1, 1),) if number > 0 else ()
    behind = (link(number + 1, 0),) if number + 1 < len(segments) else ()
    functions = {local_name(vm)[1]: own for vm, own in chain.functions.items() if _is_here(vm, segment)}
    ends = {local_name(port)[1]: end for port, end in chain.ends.items() if _is_here(port, segment)}
    update: dict[str, Any] = {
        "path": (*before, *segment.elements, *behind),
        "functions": functions,
        "ends": ends,
        "via": tuple(local_name(via)[1] for via in chain.via) if chain.via and len(segments) == 1 else None,
    }
    forward, reverse = not before, not behind and chain.direction == "both"
    if not (forward or reverse):
        update["impair"] = None
    if not ((not before and is_port(segment.elements[0])) or (not behind and is_port(segment.elements[-1]))):
        update["match"] = chain.match if len(segments) == 1 else None  # else it has no end that chains may share
    return chain.model_copy(update=update)


def _is_here(element: str, segment: Segment) -> bool:
    """Return whether a segment has an element, which may name its host."""
    host, local = local_name(element)
    return local in segment.elements and host in (None, segment.host)


def text_of(config: Config) -> str:
    """Return the conf.yml of a host: the keys that were written, with the values of this host."""
    data = config.model_dump(mode="json", exclude_unset=True)
    for name, chain in config.chains.items():
        if chain.match is not None and not chain.match_words().startswith(("vlan", "dst")):
            data["chains"][name]["match"] = chain.match_words()
    for section in (data, *data.get("chains", {}).values()):
        for key in [key for key, value in section.items() if value in ({}, [])]:
            del section[key]  # an empty list of a part is not its default: args: [] overrides vm.args
    return HEADER + str(yaml.safe_dump(_without_none(data), sort_keys=False, width=120))


def _without_none(value: Any) -> Any:
    """Return a value without keys that have no value."""
    if isinstance(value, list):
        return [_without_none(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: _without_none(one) for key, one in value.items() if one is not None}
