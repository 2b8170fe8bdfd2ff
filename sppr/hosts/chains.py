"""The chains of a lab over several hosts as one lab: the plans of all hosts, with the host in front of each process."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import msgspec

from sppr.errors import SpprError
from sppr.host.process import pids
from sppr.host.run_directory import make_private, sessions_dir
from sppr.hosts import engine
from sppr.hosts.inventory import inventory
from sppr.hosts.lab import HostsLab
from sppr.hosts.tunnel import tunnels
from sppr.lab.chains.wiring import ChainWiring, LeftOut, Leg, Wiring
from sppr.lab.plan.plan import Plan, api_socket
from sppr.lab.state.state import State
from sppr.parts.part import Part

#: Frames per second of a proof over several hosts. No window limits its frames in flight: the source cannot see what
#: another host received.
MOST_RATE = 1000
#: Frames of each direction and size in such a proof.
FRAMES = 2000


def read_plans(lab: HostsLab) -> tuple[dict[str, Plan], dict[str, str]]:
    """Return the plan of each host, and why others have none. Raise SpprError if no host has one."""
    results = engine.run_playbook("plan", inventory(lab), list(lab.config.hosts))
    plans, missing = {}, {}
    for host, one in results.items():
        if one.error:
            missing[host] = "is unreachable" if one.unreachable else one.error
        else:
            plans[host] = msgspec.json.decode(one.results["Read the plan"]["stdout"], type=Plan)
    if not plans:
        what = "; ".join(f"{host} {why}" for host, why in missing.items())
        raise SpprError(what, hint="sppr up; sppr status shows each host")
    return plans, missing


def joined(
    lab: HostsLab, plans: Mapping[str, Plan], folder: str, run: str, missing: Mapping[str, str] = MappingProxyType({})
) -> Plan:
    """Return one plan with the parts and chains of all hosts.

    ``folder``: that of the sockets of ``tunnels``. ``missing``: why a host has no plan.
    """
    first = next(iter(plans.values()))
    parts = [_on_host(host, part) for host, plan in plans.items() for part in plan.parts]
    return replace(
        first, run=run, conf=str(lab.conf), folder=str(lab.conf.parent), rest=folder, parts=tuple(parts), windows=(),
        wiring=_wiring(lab, plans, missing),
    )  # fmt: skip


def _on_host(host: str, part: Part) -> Part:
    """Return a part with its host in front of its name. Its VM's server is the process with the host, too."""
    server = f"{host}/{part.server}" if part.server else ""
    return replace(part, name=f"{host}/{part.name}", host=host, server=server)


def _leg(host: str, leg: Leg, hop: int) -> Leg:
    return replace(leg, process=f"{host}/{leg.process}", by=f"{host}/{leg.by}", hop=hop)


def _wiring(lab: HostsLab, plans: Mapping[str, Plan], missing: Mapping[str, str]) -> Wiring:
    """Return the wiring of all chains: the segments of each, one behind the other."""
    local: dict[tuple[str, int], tuple[str, ChainWiring]] = {}
    for host, one in lab.labs.items():
        known = {chain.name: chain for chain in plans[host].wiring.chains} if host in plans else {}
        for name, (origin, segment) in one.chains.items():
            if name in known:
                local[origin, segment.start] = (host, known[name])
    chains, left_out = [], []
    for name, chain in lab.config.chains.items():
        segments = sorted(segment.start for one in lab.labs.values() for n, segment in one.chains.values() if n == name)
        found = [local.get((name, start)) for start in segments]
        if None in found:
            whys = [
                f"{host} {why}" for host, why in missing.items()
                if any(origin == name for origin, _ in lab.labs[host].chains.values())
            ]  # fmt: skip
            whys += [
                f"{host}: {left.why}" for host, plan in plans.items() for left in plan.wiring.left_out
                if lab.labs[host].chains.get(left.name, ("",))[0] == name
            ]  # fmt: skip
            left_out.append(LeftOut(name, chain.path, "; ".join(whys) or "a host does not have its part: sppr up"))
        else:
            chains.append(_joined_chain(name, chain.path, [one for one in found if one is not None]))
    return Wiring(tuple(chains), tuple(left_out))


def _joined_chain(name: str, path: tuple[str, ...], segments: list[tuple[str, ChainWiring]]) -> ChainWiring:
    """Return one chain of its segments. Hops count from the first one on."""
    forward: list[Leg] = []
    reverse: list[Leg] = []
    hops = 0
    for host, chain in segments:
        last = max((leg.hop for leg in chain.legs), default=0)
        forward += [_leg(host, leg, leg.hop and leg.hop + hops) for leg in chain.forward]
        reverse = [*(_leg(host, leg, leg.hop and leg.hop + hops) for leg in chain.reverse), *reverse]
        hops += last
    parts = [f"{host}/{part}" for host, chain in segments for part in chain.parts]
    return ChainWiring(name, path, tuple(forward), tuple(reverse), tuple(dict.fromkeys(parts)))


@contextlib.contextmanager
def session(lab: HostsLab) -> Iterator[State]:
    """Yield the state of the joined lab, with connections to all controllers. Raise SpprError for a missing host.

    Its run directory is here, for the record of a proof: the next command restores the ends after a kill.
    """
    plans, missing = read_plans(lab)
    where = {}
    for host, plan in plans.items():
        socket = str(api_socket(Path(plan.run)))
        where[host] = f"127.0.0.1:{rest_port(lab, host)}" if lab.config.hosts[host].become else socket
    run = sessions_dir() / f"{lab.session}@hosts"
    make_private(run.parent)
    make_private(run)
    with tunnels(lab, where) as folder:
        yield State(joined(lab, plans, str(folder), str(run), missing), pids.boot_id(), phase="up")


def rest_port(lab: HostsLab, host: str) -> int:
    """Return the REST port of the controller of a host. Raise SpprError if conf.yml disables it."""
    if lab.config.hosts[host].user is None:
        what = f"{host}: become is set, and no user: its controller admits only users that conf.yml names"
        raise SpprError(what, hint=f"add user: to the host {host}, the one that ssh logs in as")
    port = lab.labs[host].config.controller.rest_port
    if not port:
        what = f"{host}: become is set, so its controller is reached at its REST port, and controller.rest_port is 0"
        raise SpprError(what, hint="set controller: {rest_port: 7777}, or log in as root: user: root")
    return port
