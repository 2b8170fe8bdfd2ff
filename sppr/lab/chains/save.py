"""What runs now, as sections of conf.yml, or as commands of SPP's prompt. Pure.

Patches that lead from a port through guests and rings to another port are read as a chain if the planner produces the
same patches. All others are saved literally under ``patches:``.
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

#: A port in a process.
Place = tuple[str, str]


@dataclass
class Saved:
    """``chains``: by name, as conf.yml has them. ``patches``: lines of the section ``patches:``."""

    chains: dict[str, Chain] = field(default_factory=dict)
    patches: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return both sections."""
        lines = ["chains:"] if self.chains else []
        for name, chain in self.chains.items():
            lines += [f"  {name}:", f"    path: [{', '.join(chain.path)}]"]
            lines += [f"    direction: {chain.direction}"] if chain.direction != "both" else []
            lines += [f"    via: [{', '.join(chain.via)}]"] if chain.via else []
            own = [f"{vm}: {how}" for vm, how in chain.functions.items()]
            lines += [f"    functions: {{ {', '.join(own)} }}"] if own else []
            lines += ["    ends:"] if chain.ends else []
            for port, end in chain.ends.items():
                address = f", address: {end.address}" if end.address else ""
                lines.append(f"      {port}: {{ netns: {end.netns}{address} }}")
        lines += ["patches:", *(f"  - {line}" for line in self.patches)] if self.patches else []
        return "\n".join(lines) + "\n" if lines else ""


def save(config: Config, wiring: Wiring, parts: Sequence[Part], observed: Observed) -> Saved:
    """Read what runs. The chains of ``config`` that are wired whole keep their names and keys.

    Each result is planned again before it is returned. A chain that would not give the same patches, or would let a
    process forward that does not, is saved to the letter.
    """
    patches = {(p, src): dst for p, seen in observed.seen.items() for src, dst in seen.patches.items()}
    kept = {c.name: config.chains[c.name] for c in wiring.chains if c.name in config.chains and _is_wired(c, patches)}
    found = {**kept, **_discovered(config, wiring, parts, patches, kept)}
    while True:
        saved = Saved(found, _lines(parts, observed, _beside(config, parts, found, patches)))
        if not found or _gives(config, parts, saved, observed, patches):
            return saved
        found = dict(list(found.items())[:-1])


def _discovered(
    config: Config, wiring: Wiring, parts: Sequence[Part], patches: Mapping[Place, str], kept: Mapping[str, Chain]
) -> dict[str, Chain]:
    """Chains that patches by hand make, and that the planner would wire just so."""
    left = _without(patches, [chain for chain in wiring.chains if chain.name in kept])
    listed = {leg.patch for leg in wiring.patches}  # conf.yml has them as patches, and so they stay
    left = {place: dst for place, dst in left.items() if (*place, dst) not in listed}
    found: dict[str, Chain] = {}
    for path in _paths(parts, left):
        for direction in ("both", "forward"):
            name = next(f"chain{n}" for n in range(1, 10_000) if f"chain{n}" not in (*found, *config.chains))
            chain = Chain.model_validate({"path": path, "direction": direction})
            made = _planned(config, parts, {**kept, **found, name: chain})
            if made is not None and _is_wired(made.chain(name), left):
                found[name] = chain
                left = _without(left, [made.chain(name)])
                break
    return found


def _beside(
    config: Config, parts: Sequence[Part], chains: Mapping[str, Chain], patches: Mapping[Place, str]
) -> dict[Place, str]:
    """The patches that these chains do not have."""
    made = _planned(config, parts, chains)
    return _without(patches, made.chains if made else ())


def _gives(
    config: Config, parts: Sequence[Part], saved: Saved, observed: Observed, patches: Mapping[Place, str]
) -> bool:
    """Whether loading it gives what runs: all patches, no others, and the processes that forward."""
    lines = [line.partition(": ") for line in saved.patches]
    entries = tuple({part: text} for part, _, text in lines)
    loaded = config.model_copy(update={"chains": dict(saved.chains), "patches": entries})
    if check(loaded):
        return False
    try:
        made = plan(loaded, parts)
    except ConfigError:
        return False
    legs = {(leg.process, leg.src): leg.dst for leg in made.legs if not leg.own}
    forwards = {leg.process for chain in made.chains for leg in chain.legs if not leg.own}
    return legs == dict(patches) and all(observed.seen[process].running for process in forwards)


def _is_wired(chain: ChainWiring, patches: Mapping[Place, str]) -> bool:
    legs = [leg for leg in chain.legs if not leg.own]
    return bool(legs) and all(patches.get((leg.process, leg.src)) == leg.dst for leg in legs)


def _without(patches: Mapping[Place, str], chains: Sequence[ChainWiring]) -> dict[Place, str]:
    taken = {(leg.process, leg.src) for chain in chains for leg in chain.legs}
    return {place: dst for place, dst in patches.items() if place not in taken}


def _planned(config: Config, parts: Sequence[Part], chains: Mapping[str, Chain]) -> Wiring | None:
    """The wiring of these chains over the parts that run. None where they cannot be wired, or not all of them are."""
    try:
        made = plan(config.model_copy(update={"chains": dict(chains), "patches": ()}), parts)
    except ConfigError:
        return None
    return made if len(made.chains) == len(chains) else None


def _paths(parts: Sequence[Part], patches: Mapping[Place, str]) -> list[list[str]]:
    """Paths from a port that may be an end to another one; no port or VM twice."""
    vms = {f"nfv:{part.id}": part.name for part in parts if part.is_vm}
    links = dict(_links(parts))
    found: list[list[str]] = []
    for place in patches:
        if place[0] in vms or not is_port(place[1]):
            continue
        path, here, seen = [place[1]], place, {place}
        while here in patches:
            there = (here[0], patches[here])
            if there[0] not in vms and is_port(there[1]):
                path.append(there[1])
                if len(set(path)) == len(path):
                    found.append(path)
                break
            onward = links.get(there) or _reader(there, patches, vms)
            if onward is None or onward in seen:
                break
            seen.add(onward)
            here = onward
            path += [vms[here[0]]] if here[0] in vms else []
    return found


def _links(parts: Sequence[Part]) -> list[tuple[Place, Place]]:
    """Both sides of each link between a VM and its server, each leading to the other."""
    found: list[tuple[Place, Place]] = []
    for part in parts:
        for index, uid in enumerate(part.ports):
            guest = (f"nfv:{part.id}", f"{'ring' if part.role == 'vm_ring' else 'phy'}:{index}")
            found += [((part.server or "primary", uid), guest), (guest, (part.server or "primary", uid))]
    return found


def _reader(place: Place, patches: Mapping[Place, str], vms: Mapping[str, str]) -> Place | None:
    """Where a ring of the primary is read."""
    if not place[1].startswith("ring:") or place[0] in vms:
        return None
    return next((one for one in patches if one[1] == place[1] and one[0] not in vms), None)


def _lines(parts: Sequence[Part], observed: Observed, left: Mapping[Place, str]) -> list[str]:
    """What no chain has, process by process: patches, ports that are in none, and that it does not forward."""
    names = {f"nfv:{p.id}": p.name for p in parts if p.id is not None} | {"primary": "pri"}
    found: list[str] = []
    for process, seen in observed.seen.items():
        name = names.get(process)
        if name is None:
            continue
        found += [f"{name}: {src} -> {dst}" for (one, src), dst in left.items() if one == process]
        used = {*seen.patches, *seen.patches.values(), *born(process, parts)}
        alone = sorted(port for port in seen.ports - used if port.partition(":")[0] not in ("tap", "phy", "pipe"))
        found += [f"{name}: {port}" for port in alone]
        found += [f"{name}: idle"] if seen.patches and not seen.running else []
    return found


def born(process: str, parts: Sequence[Part]) -> set[str]:
    """Return the ports that the launcher gives a process: those of VMs, on both sides."""
    return {port for one, port in (place for link in _links(parts) for place in link) if one == process}


def recipe(parts: Sequence[Part], observed: Observed) -> list[str]:
    """Return the commands of the prompt that make what runs from processes as the launcher starts them."""
    lines: list[str] = []
    for process, seen in observed.seen.items():
        who = "pri" if process == "primary" else process.replace(":", " ")
        given = born(process, parts)
        added = [port for port in sorted(seen.ports - given) if port.partition(":")[0] not in ("phy", "tap", "pipe")]
        lines += [f"{who}; add {port}" for port in added]
    for process, seen in observed.seen.items():
        who = "pri" if process == "primary" else process.replace(":", " ")
        lines += [f"{who}; patch {src} {dst}" for src, dst in seen.patches.items()]
    for process, seen in observed.seen.items():
        who = "pri" if process == "primary" else process.replace(":", " ")
        lines += [f"{who}; forward"] if seen.running else []
    return lines
