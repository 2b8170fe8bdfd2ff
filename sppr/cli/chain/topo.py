"""``sppr topo``: the processes of the lab, their ports and patches as text or as a picture, with rates."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingCommand
from sppr.cli.hosts.dispatch import over_hosts
from sppr.controller.errors import BadValue
from sppr.controller.prompt.controllers import ProcessStatus, target_of
from sppr.controller.topology import export, graph, rates
from sppr.errors import ConfigError, ControlError, HostError
from sppr.lab.chains.observe import TIMEOUT
from sppr.lab.chains.wiring import Leg, Wiring
from sppr.parts.part import Part
from sppr.spp.control import Address, ControlClient, ProcessNotConnected

if TYPE_CHECKING:
    from sppr.lab.plan.plan import Plan
    from sppr.lab.state.state import State

_FORMATS = [kind for kind in export.TYPES if kind != "yaml"]


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@options.verb_session
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to FILE. Its suffix sets the format: .svg .png .html .mmd .dot .json .txt  [default: print text]",
)
@click.option("--format", "kind", type=click.Choice(_FORMATS), help="Use this format, whatever the suffix.")
@click.option(
    "--interval",
    type=click.FloatRange(0, 60),
    default=rates.INTERVAL,
    show_default=True,
    help="Seconds between the two readings of the counters; 0: no rates.",
)
def main(session: str | None, output: Path | None, kind: str | None, interval: float) -> None:
    """Draw the network of the lab: processes, ports, patches, chains, with their rates and drops."""
    from sppr.cli.session import load, session_of
    from sppr.lab.state import state as states

    drawing = drawing_of(output, kind)
    if output is None and drawing in export.PICTURES:
        raise ConfigError(f"{drawing} cannot be printed", hint=f"sppr topo -o FILE.{drawing}")
    if (far := over_hosts(session=session)) is not None:
        from sppr.cli.hosts import chains

        with chains.joined(far) as state:
            network, measured = observe(state, interval, chains.link_names(far))
        there = {part.host for part in state.plan.parts}
        for host in sorted(far.config.hosts.keys() - there):
            click.echo(f"{host} is not in the picture: sppr status shows why", err=True)
    else:
        state = states.check_same_boot(load(session_of(session), session))
        network, measured = observe(state, interval)
    title = f"Session {state.plan.session}"
    note = f"frames per second, measured over {measured:.1f} s" if measured else "rates are unknown"
    if output is None:
        click.echo(export.render(network, drawing, title, note), nl=False)
        return
    try:
        export.write(network, drawing, output.expanduser(), title, note)
    except BadValue as error:
        raise HostError(error.what, hint=error.hint) from None
    click.echo(
        f"{output}: {len(network.processes)} processes, {len(network.chains)} chain{'s' * (len(network.chains) != 1)}"
    )


def drawing_of(output: Path | None, kind: str | None) -> str:
    """Return the format: the one of ``--format``, or the one of the suffix. Raise ConfigError for an unknown suffix."""
    if kind is not None or output is None:
        return kind or "txt"
    if not output.suffix:
        raise ConfigError(f"{output}: its name has no suffix", hint="add one, such as .svg, or use --format svg")
    try:
        return export.drawing_type(output.suffix.removeprefix("."))
    except BadValue as error:
        raise ConfigError(f"{output}: {error.what}", hint=error.hint) from None


def observe(state: "State", interval: float, links: Mapping[str, str] | None = None) -> tuple[graph.Graph, float]:
    """Return the network, and the seconds between the readings of the counters; 0: its rates are unknown.

    ``links``: in a lab over several hosts, the name of each link by its port.
    """
    from sppr.lab.state import state as states

    plan, since = state.plan, time.monotonic()
    read = _reader(plan)
    before = read()
    after, seconds = before, 0.0
    if interval and rates.flows(before, before, 0):  # no rates without counters
        time.sleep(max(0.0, interval - (time.monotonic() - since)))
        after, seconds = read(), time.monotonic() - since
    every = [*after, *missing(plan, after, states.stopped_parts(state))]
    return graph.build(every, None, details(plan, rates.flows(before, after, seconds), links)), seconds


def _reader(plan: "Plan") -> Callable[[], list[ProcessStatus]]:
    """Return a function that reads the status of all processes, of all hosts if the lab is over several."""
    if any(part.host for part in plan.parts):
        parts = [part for part in plan.parts if part.process]
        return lambda: _read_parts(ControlClient(plan.api, timeout=TIMEOUT), parts)
    addresses = list(dict.fromkeys([plan.api, *(part.control for part in plan.parts if part.control)]))
    return lambda: _read(addresses)


def details(
    plan: "Plan", flows: dict[rates.Patch, rates.Flow], links: Mapping[str, str] | None = None
) -> graph.Details:
    """Return what the plan knows about the processes: the names of their parts, and the chains of their patches."""
    chains: dict[rates.Patch, tuple[str, bool]] = {}
    for chain in plan.wiring.chains:
        for direction, legs in chain.directions:
            for leg in legs:
                chains[leg.process, leg.src, leg.dst] = chain.name, direction == "reverse"
                if leg.own:
                    chains[_own(leg)] = chain.name, direction == "reverse"
    names = {label: part.name for part in plan.parts for label in _labels(part)}
    links = plan.wiring.link_names if links is None else links
    return graph.Details(flows, chains, names, tuple(chain.name for chain in plan.wiring.chains), links)


def _labels(part: Part) -> Sequence[str]:
    """Return the processes of a part, as the controller may name them."""
    name = part.process
    return [name, _as_vm(name)] if part.is_vm else [name] * bool(name)


def _own(leg: Leg) -> rates.Patch:
    return _as_vm(leg.process), leg.src, leg.dst


def _as_vm(process: str) -> str:
    """Return the process of a VM as a VM: ``vm:11`` for ``nfv:11``."""
    return process.replace("nfv:", "vm:")


def missing(plan: "Plan", found: Iterable[ProcessStatus], stopped: Iterable[str]) -> list[ProcessStatus]:
    """Return a process for each part that is not connected: it does not run, or software of its own forwards."""
    connected, stopped = {str(process) for process in found}, set(stopped)
    rows: list[ProcessStatus] = []
    for part in plan.parts:
        labels = _labels(part)
        if not labels or connected.intersection(labels):
            continue
        kind = graph.kind_of(labels[-1])
        own = _own_patches(plan.wiring, part.name)
        if part.name in stopped:
            status: dict[str, Any] = {"status": "stopped"}
        elif own:
            ports = list(dict.fromkeys(port for patch in own for port in patch.values()))
            status = {"status": "running", "ports": ports, "patches": own}
        else:
            status = {"status": "not connected"}
        rows.append(ProcessStatus(kind, part.id or 0, status, part.host))
    return rows


def _own_patches(wiring: Wiring, name: str) -> list[dict[str, str]]:
    return [{"src": leg.src, "dst": leg.dst} for leg in wiring.legs if leg.own and leg.by == name]


def _read(addresses: Sequence[Address]) -> list[ProcessStatus]:
    """Return the processes of all controllers with their status."""
    return _ask(
        (ControlClient(address, timeout=TIMEOUT), ProcessStatus(target.kind, target.client_id))
        for address in addresses
        for process in ControlClient(address).processes()  # spp.py types at its prompt, which takes longer
        if (target := target_of(process))
    )


def _read_parts(client: ControlClient, parts: Sequence[Part]) -> list[ProcessStatus]:
    """Return the status of the process of each part that is connected to the controller of its host."""
    return _ask((client, ProcessStatus(graph.kind_of(part.process), part.id or 0, host=part.host)) for part in parts)


def _ask(asked: Iterable[tuple[ControlClient, ProcessStatus]]) -> list[ProcessStatus]:
    """Ask the controller of each process for its status, side by side. Leave out those that are not connected."""
    asked = list(asked)
    with ThreadPoolExecutor(max_workers=min(16, len(asked)) or 1) as pool:
        answers = list(pool.map(lambda pair: _status(pair[0], str(pair[1])), asked))
    pairs = zip(asked, answers, strict=True)
    return [replace(process, status=answer) for (_, process), answer in pairs if answer is not None]


def _status(client: ControlClient, target: str) -> dict[str, Any] | None:
    """Return the status of a process, or None if it is not connected to the controller."""
    try:
        return client.status(target)
    except ProcessNotConnected:
        return None
    except ControlError:
        return {"status": "no answer"}
