"""Describe the current wiring as sections of conf.yml, or as commands of SPP's prompt. Pure.

Patches that lead from a port through guests and rings to another port are saved as a chain if the planner produces the
same patches. All other patches are saved one by one in ``patches:``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sppr.config.chains import is_port
from sppr.config.model import Chain, Config
from sppr.config.rules import check
from sppr.errors import ConfigError
from sppr.lab.chains.observe import Observed
from sppr.lab.chains.planner import chains as plan
from sppr.lab.chains.wiring import ChainWiring, Wiring
from sppr.parts.part import Part
from sppr.spp import match

#: A port in a process. The source of a patch has its match (``spp.match``).
Place = tuple[str, str]


@dataclass
class Saved:
    """The sections of conf.yml to save.

    ``chains``: chains by name. ``patches``: lines of the section ``patches:``.
    """

    chains: dict[str, Chain] = field(default_factory=dict)
    patches: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return both sections."""
        lines = ["chains:"] if self.chains else []
        for name, chain in self.chains.items():
            lines += [f"  {name}:", f"    path: [{', '.join(chain.path)}]"]
            lines += [f"    direction: {chain.direction}"] if chain.direction != "both" else []
            lines += [f"    match: {_match(chain)}"] if chain.match is not None else []
            lines += [f"    impair: {_impair(chain)}"] if chain.impair is not None else []
            lines += [f"    via: [{', '.join(chain.via)}]"] if chain.via else []
            own = [f"{vm}: {how}" for vm, how in chain.functions.items()]
            lines += [f"    functions: {{ {', '.join(own)} }}"] if own else []
            lines += ["    ends:"] if chain.ends else []
            for port, end in chain.ends.items():
                address = f", address: {end.address}" if end.address else ""
                lines.append(f"      {port}: {{ netns: {end.netns}{address} }}")
        lines += ["patches:", *(f"  - {line}" for line in self.patches)] if self.patches else []
        return "\n".join(lines) + "\n" if lines else ""


def _match(chain: Chain) -> str:
    """Return the match of a chain as in conf.yml: ``{ vlan: 100, dst_mac: "02:00:00:00:00:21" }``."""
    words = [word.partition("=") for word in chain.match_words().split()]
    keys = [f'{key}: "{value}"' if key == "dst_mac" else f"{key}: {value}" for key, _, value in words if value]
    return f"{{ {', '.join(keys)} }}" if keys else chain.match_words()


def _impair(chain: Chain) -> str:
    """Return the impairment of a chain as in conf.yml: ``{ delay: 20ms, loss: 0.5% }``."""
    values = (word.partition("=") for word in chain.impair_words().split())
    keys = [f"{key}: {value.replace(',', ' ')}" for key, _, value in values]
    return f"{{ {', '.join(keys)} }}"


def save(config: Config, wiring: Wiring, parts: Sequence[Part], observed: Observed) -> Saved:
    """Return the sections that describe the observed state.

    The chains of ``config`` that are completely wired keep their names and keys. Each result is planned before it is
    returned. The patches of a chain are saved one by one if the planner would produce other patches, or would make an
    idle process forward.
    """
    patches = {(p, src): dst for p, status in observed.statuses.items() for src, dst in status.patches.items()}
    known = {c.name: config.chains[c.name] for c in wiring.chains if c.name in config.chains and _is_wired(c, patches)}
    found = {**known, **_discover_chains(config, wiring, parts, patches, known)}
    while True:
        saved = Saved(found, _patch_lines(parts, observed, _single_patches(config, parts, found, patches)))
        if not found or _reproduces(config, parts, saved, observed, patches):
            return saved
        found = dict(list(found.items())[:-1])


def _discover_chains(
    config: Config, wiring: Wiring, parts: Sequence[Part], patches: Mapping[Place, str], known: Mapping[str, Chain]
) -> dict[str, Chain]:
    """Return the chains that were patched by hand, and that the planner would wire in the same way."""
    left = _without(patches, [chain for chain in wiring.chains if chain.name in known])
    listed = {leg.patch for leg in wiring.patches}  # conf.yml has them as patches, so they stay patches
    left = {place: dst for place, dst in left.items() if (*place, dst) not in listed}
    found: dict[str, Chain] = {}
    for path in _paths(parts, left):
        for direction in ("both", "forward"):
            name = next(f"chain{n}" for n in range(1, 10_000) if f"chain{n}" not in (*found, *config.chains))
            chain = Chain.model_validate({"path": path, "direction": direction})
            planned = _plan(config, parts, {**known, **found, name: chain})
            if planned is not None and _is_wired(planned.chain(name), left):
                found[name] = chain
                left = _without(left, [planned.chain(name)])
                break
    return found


def _single_patches(
    config: Config, parts: Sequence[Part], chains: Mapping[str, Chain], patches: Mapping[Place, str]
) -> dict[Place, str]:
    """Return the patches that do not belong to these chains."""
    planned = _plan(config, parts, chains)
    return _without(patches, planned.chains if planned else ())


def _reproduces(
    config: Config, parts: Sequence[Part], saved: Saved, observed: Observed, patches: Mapping[Place, str]
) -> bool:
    """Return whether loading the sections produces all patches and no others, and makes no idle process forward."""
    lines = [line.partition(": ") for line in saved.patches]
    entries = tuple({part: text} for part, _, text in lines)
    loaded = config.model_copy(update={"chains": dict(saved.chains), "patches": entries})
    if check(loaded):
        return False
    try:
        planned = plan(loaded, parts)
    except ConfigError:
        return False
    legs = {(leg.process, leg.source): leg.dst for leg in planned.legs if not leg.own}
    forwards = {leg.process for chain in planned.chains for leg in chain.legs if not leg.own}
    return legs == dict(patches) and all(observed.statuses[process].running for process in forwards)


def _is_wired(chain: ChainWiring, patches: Mapping[Place, str]) -> bool:
    legs = [leg for leg in chain.legs if not leg.own]
    return bool(legs) and all(patches.get((leg.process, leg.source)) == leg.dst for leg in legs)


def _without(patches: Mapping[Place, str], chains: Sequence[ChainWiring]) -> dict[Place, str]:
    used = {(leg.process, leg.source) for chain in chains for leg in chain.legs}
    return {place: dst for place, dst in patches.items() if place not in used}


def _plan(config: Config, parts: Sequence[Part], chains: Mapping[str, Chain]) -> Wiring | None:
    """Return the wiring of these chains over the running parts. None: at least one of them cannot be wired."""
    try:
        wiring = plan(config.model_copy(update={"chains": dict(chains), "patches": ()}), parts)
    except ConfigError:
        return None
    return wiring if len(wiring.chains) == len(chains) else None


def _paths(parts: Sequence[Part], patches: Mapping[Place, str]) -> list[list[str]]:
    """Return the paths along these patches from one possible end of a chain to another, without a port or VM twice."""
    vms = {f"nfv:{part.id}": part.name for part in parts if part.is_vm}
    links = dict(_links(parts))
    found: list[list[str]] = []
    for place in patches:
        if place[0] in vms or not is_port(place[1]):
            continue
        path, source, visited = [place[1]], place, {place}
        while source in patches:
            destination = (source[0], patches[source])
            if destination[0] not in vms and is_port(destination[1]):
                path.append(destination[1])
                if len(set(path)) == len(path):
                    found.append(path)
                break
            following = links.get(destination) or _ring_reader(destination, patches, vms)
            if following is None or following in visited:
                break
            visited.add(following)
            source = following
            path += [vms[source[0]]] if source[0] in vms else []
    return found


def _links(parts: Sequence[Part]) -> list[tuple[Place, Place]]:
    """Return each link between a VM and its server twice: from the server to the guest, and from the guest to it."""
    links: list[tuple[Place, Place]] = []
    for part in parts:
        for index, uid in enumerate(part.ports):
            guest = (f"nfv:{part.id}", f"{'ring' if part.role == 'vm_ring' else 'phy'}:{index}")
            links += [((part.server or "primary", uid), guest), (guest, (part.server or "primary", uid))]
    return links


def _ring_reader(place: Place, patches: Mapping[Place, str], vms: Mapping[str, str]) -> Place | None:
    """Return the source of the patch that reads this ring of the primary, or None."""
    if not place[1].startswith("ring:") or place[0] in vms:
        return None
    return next((source for source in patches if source[1] == place[1] and source[0] not in vms), None)


def _patch_lines(parts: Sequence[Part], observed: Observed, single: Mapping[Place, str]) -> list[str]:
    """Return the lines of ``patches:`` for each process: single patches, ports without a patch, and ``idle``."""
    names = {f"nfv:{p.id}": p.name for p in parts if p.id is not None} | {"primary": "pri"}
    lines: list[str] = []
    for process, status in observed.statuses.items():
        name = names.get(process)
        if name is None:
            continue
        lines += [f"{name}: {src} -> {dst}" for (owner, src), dst in single.items() if owner == process]
        used = {*map(match.port_of, status.patches), *status.patches.values(), *initial_ports(process, parts)}
        unused = sorted(port for port in status.ports - used if port.partition(":")[0] not in ("tap", "phy", "pipe"))
        lines += [f"{name}: {port}" for port in unused]
        lines += [f"{name}: idle"] if status.patches and not status.running else []
    return lines


def initial_ports(process: str, parts: Sequence[Part]) -> set[str]:
    """Return the ports that the bring-up adds to a process: those of VMs, on both sides."""
    return {port for owner, port in (place for link in _links(parts) for place in link) if owner == process}


def recipe(parts: Sequence[Part], observed: Observed) -> list[str]:
    """Return the commands of the prompt that produce the observed state after a bring-up."""
    lines: list[str] = []
    for process, status in observed.statuses.items():
        target = "pri" if process == "primary" else process.replace(":", " ")
        added = sorted(status.ports - initial_ports(process, parts))
        added = [port for port in added if port.partition(":")[0] not in ("phy", "tap", "pipe")]
        lines += [f"{target}; add {port}" for port in added]
    for process, status in observed.statuses.items():
        target = "pri" if process == "primary" else process.replace(":", " ")
        lines += [f"{target}; patch {match.arguments(source, dst)}" for source, dst in status.patches.items()]
        lines += [f"{target}; impair {source} {found.words}" for source, found in status.impairments.items()]
    for process, status in observed.statuses.items():
        target = "pri" if process == "primary" else process.replace(":", " ")
        lines += [f"{target}; forward"] if status.running else []
    return lines
