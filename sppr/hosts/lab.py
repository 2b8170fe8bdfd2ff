"""Read the conf.yml of a lab over several hosts, place its parts, and divide it. What was placed is kept beside it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sppr.config import load
from sppr.config.hosts import rules
from sppr.config.hosts.model import PARTS
from sppr.config.hosts.place import Key, Room, kept_names, place
from sppr.config.hosts.segments import Segments, assign_vlans, link_name, part_name, placed_by_hand
from sppr.config.hosts.split import HostLab, link_address, link_vni, netdev, other_host, split
from sppr.config.model import Config
from sppr.errors import ConfigError
from sppr.host import atomic_write

#: A host whose cores and memory are unknown has room for every part that names it.
UNLIMITED = Room(cores=1 << 20, memory=1 << 40)
#: MTU of the interface of a link: a frame of 1518 bytes with a VLAN tag of its own, and the tag of its chain.
LINK_MTU = 1508
#: Bytes that VXLAN adds to a frame without its FCS: IPv4, UDP and VXLAN header.
VXLAN_BYTES = 36
#: Bytes of the largest frame of a link, without FCS: Ethernet header and LINK_MTU.
LINK_FRAME = 14 + LINK_MTU


class Kept(msgspec.Struct):
    """What the next ``up`` must not change. ``parts``: host by part. ``vlans``: by link and crossing of a chain."""

    parts: dict[str, str] = {}
    vlans: dict[str, dict[str, int]] = {}


@dataclass(frozen=True)
class HostsLab:
    """A lab over several hosts.

    ``conf``: its conf.yml. ``placed``: host of each part. ``labs``: the lab of each host. ``vlans``: the first VLAN id
    of each crossing, by link.
    """

    conf: Path
    config: Config
    placed: Mapping[Key, str]
    labs: Mapping[str, HostLab]
    vlans: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def session(self) -> str:
        """Return the name of the session, which is the same on each host."""
        return self.config.session

    def folder_on(self, host: str) -> str:
        """Return the folder of the lab on a host. It may begin with ``~/``."""
        return f"{self.config.hosts[host].folder.rstrip('/')}/{self.session}"

    def keep(self) -> None:
        """Write what the next ``up`` must not change."""
        parts = {name: self.placed[key] for name, key in kept_names(self.config).items()}
        text = json.dumps({"parts": parts, "vlans": self.vlans}, indent=1)
        atomic_write.write(kept_path(self.conf, self.session), text + "\n")

    def links_of(self, host: str) -> list[dict[str, Any]]:
        """Return the VXLAN links of a host, as the playbooks take them."""
        found = []
        for link in self.config.links:
            if host in link.ends and link.phy is None:
                other = other_host(link, host)
                found.append({
                    "name": link_name(link), "netdev": netdev(self.config, link), "vni": link_vni(self.config, link),
                    "local": link_address(self.config, host), "remote": link_address(self.config, other),
                    "peer": other, "port": link.port, "mtu": LINK_MTU, "packet": LINK_FRAME + VXLAN_BYTES,
                })  # fmt: skip
        return found


def kept_path(conf: Path, session: str) -> Path:
    """Return the path of the file with the placement, beside conf.yml."""
    return conf.with_name(f".sppr-placement-{session}.json")


def read_kept(conf: Path, session: str) -> Kept:
    """Return the placement of the last time. Raise ConfigError if the file cannot be read."""
    path = kept_path(conf, session)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return Kept()
    except (OSError, msgspec.MsgspecError) as e:
        what = f"{path}: the placement of this lab cannot be read: {e}"
        raise ConfigError(what, hint="restore it, or remove it: parts may then move to other hosts") from None


def needs_rooms(config: Config, kept: Kept) -> bool:
    """Return whether cores and memory of the hosts must be known to place a part."""
    named, known = placed_by_hand(config), kept_names(config)
    unplaced = [name for name, key in known.items() if key not in named and name not in kept.parts]
    return bool(unplaced) and any(host.cores is None or host.memory is None for host in config.hosts.values())


def rooms_from(results: Mapping[str, Mapping[str, Any]], session: str) -> dict[str, Room]:
    """Return cores of the hosts, and memory that is free or has VMs of the session, from the playbook ``facts``."""
    found = {}
    for host, tasks in results.items():
        facts = tasks.get("Read cores and memory", {}).get("ansible_facts", {})
        memory = facts.get("ansible_memory_mb", {}).get("nocache", {}).get("free", UNLIMITED.memory)
        lines = tasks.get("Read the memory of its VMs", {}).get("stdout_lines", ())
        rows = [line.split(maxsplit=2) for line in lines]
        used = sum(int(row[0]) for row in rows if "qemu-system" in row[1] and f"/{session}/" in row[-1]) // 1024
        found[host] = Room(facts.get("ansible_processor_nproc", UNLIMITED.cores), memory + used)
    return found


def rooms_of(config: Config, facts: Mapping[str, Room]) -> dict[str, Room]:
    """Return the room of each host: what conf.yml names, else what ``facts`` say, else no limit."""
    rooms = {}
    for name, host in config.hosts.items():
        fact = facts.get(name, UNLIMITED)
        rooms[name] = Room(
            fact.cores if host.cores is None else host.cores, fact.memory if host.memory is None else host.memory
        )
    return rooms


def gather(conf: Path, config: Config, read_facts: Callable[[], Mapping[str, Room]]) -> HostsLab:
    """Place the parts of a lab, and divide it.

    ``read_facts``: returns cores and memory of the hosts; it is called only if a part must be placed by them. Raise
    ConfigError for a part that fits nowhere, and for a host whose lab is not valid.
    """
    kept = read_kept(conf, config.session)
    facts = read_facts() if needs_rooms(config, kept) else {}
    try:
        placed = place(config, rooms_of(config, facts), kept.parts)
        vlans = assign_vlans(Segments(config, placed), kept.vlans)
    except ConfigError as e:
        e.what = (load.where(conf, e.key) if e.key else "") + e.what
        raise
    labs = split(config, placed, vlans)
    if problems := [*rules.check_chains(config, placed), *rules.check_each(config, labs)]:
        raise load.error(conf, problems)
    return HostsLab(conf, config, placed, labs, vlans)


def placement_text(lab: HostsLab) -> list[str]:
    """Return a line for each host, with its parts, and a line for each link and chain."""
    lines = []
    width = max(map(len, lab.config.hosts))
    for host, one in lab.labs.items():
        names = [part_name(section, entry.id) for section in PARTS for entry in getattr(one.config, section)]
        lines.append(f"{host:{width}}  {lab.config.hosts[host].address}: {' '.join(['pri', *names])}")
    for link in lab.config.links:
        first, second = link.ends
        if link.phy is not None:
            lines.append(f"link:{link_name(link)}  a cable, {first} {link.phy[first]} - {second} {link.phy[second]}")
            continue
        ends = f"{link_address(lab.config, first)} - {link_address(lab.config, second)}"
        vni = f"VNI {link_vni(lab.config, link)}, UDP port {link.port}, {netdev(lab.config, link)}"
        lines.append(f"link:{link_name(link)}  {ends}, {vni}")
    found = Segments(lab.config, lab.placed)
    for name in lab.config.chains:
        path = " → ".join(f"{segment.host}/{element}" for segment in found.of(name) for element in segment.elements)
        lines.append(f"chain {name}  {path}")
    return lines
