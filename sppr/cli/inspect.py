"""The verbs that only show: ``status``, ``plan``, ``logs``, ``save``."""

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingCommand
from sppr.cli.hosts.dispatch import over_hosts

_COLOURS = {"ready": "green", "starting": "yellow", "stopping": "yellow", "failed": "red", "stopped": None}


def _owner(plan: Any) -> str:
    """Return a line that names the session and the lab it belongs to."""
    from sppr.config import peek
    from sppr.lab.state import state as states

    owner = Path(plan.conf)
    gone = "" if owner.parent.is_dir() else " (its folder is gone)"
    other = "" if gone or states.is_same_lab(owner, peek.find_conf(None)) else " (not the lab of this folder)"
    return f"session {plan.session}, the lab of {owner}{gone or other}"


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@options.verb_session
@options.hosts
@click.option("--json", "as_json", is_flag=True, help="A list of objects: name role state pid window pane …")
def status(session: str | None, hosts: tuple[str, ...], as_json: bool) -> int:
    """Show the state of every part, and of the chains. Exit status 0 if all are ready and up, 1 otherwise."""
    if (far := over_hosts(None, hosts, session)) is not None:
        from sppr.cli.hosts import verbs

        verbs.allow_options("as_json")
        return verbs.status(far, hosts, as_json=as_json)
    from sppr.cli.session import load, session_of
    from sppr.lab.state import state as states
    from sppr.lab.state.status import interrupted_operation, part_statuses

    there = states.check_same_boot(load(session_of(session), session))
    rows = part_statuses(there)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        click.echo(_owner(there.plan))
        width = max((len(row.name) for row in rows), default=0)
        for row in rows:
            more = f"  exit {row.exit}" if row.exit is not None else ""
            more += f" at {row.when[11:19]}" if row.when else ""
            more += f"  restarts {row.restarts}" if row.restarts else ""
            more += f"  {row.last or row.note or ''}".rstrip()
            state = click.style(f"{row.state:9}", fg=_COLOURS[row.state])
            click.echo(f"{row.name:{width}}  {row.role:10}  {state} {row.pid or '-':>8}  {row.window:7}{more}")
    chains = _chains(there)
    for name, state, why in chains if not as_json else ():
        colour = {"up": "green", "degraded": "yellow", "down": "red"}[state]
        click.echo(f"chain {name}: {click.style(state, fg=colour)}{': ' * bool(why)}{why}")
    if states.is_locked(there.plan.session):
        click.echo(f"session {there.plan.session}: in use by another command of sppr", err=True)
    if half_way := interrupted_operation(there):
        click.echo(half_way, err=True)
    return 0 if all(row.state == "ready" for row in rows) and all(state == "up" for _, state, _ in chains) else 1


def _chains(there: Any) -> list[tuple[str, str, str]]:
    """Return name, state and first reason of each chain of the lab."""
    if not there.plan.wiring.chains:
        return []
    from sppr.lab.chains import status as chain_status

    return [(row.name, row.state, row.why[0] if row.why else "") for row in chain_status.chains(there, interval=0)]


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@options.lab
@options.hosts
@click.option("--json", "as_json", is_flag=True, help="The plan as state.json keeps it.")
def plan(
    conf: Path | None, session: str | None, socket_name: str | None, hosts: tuple[str, ...], as_json: bool, **flags: Any
) -> None:
    """Print every window, folder and command of up, and start nothing. With hosts: in conf.yml, print on which host
    each part, link and chain is, and with --host the conf.yml of that host."""
    from sppr.cli.context import gather

    if (far := over_hosts(conf, hosts)) is not None:
        from sppr.cli.hosts import verbs

        verbs.allow_options()
        verbs.show_plan(far, hosts)
        return
    lab = gather(conf, session, socket_name, flags)
    if as_json:
        click.echo(json.dumps(asdict(lab.plan), indent=1))
        return
    show_plan(lab)


def show_plan(lab: Any) -> None:
    """Print the plan: a paragraph per window; for each pane its folder, its command, and the program that runs."""
    from sppr.host import checks
    from sppr.host.checks import cores

    click.echo("\n".join(plan_text(lab.plan)))
    for left in lab.plan.wiring.left_out:
        click.echo(f"note: chain {left.name} is left out: {left.why}", err=True)
    for finding in cores.exist(lab.facts, checks.Requirements(lcores=lab.plan.lcores)):
        click.echo(f"note: {finding.what}", err=True)
    if lab.paths.no_store is not None and lab.plan.images:
        click.echo(f"note: {lab.paths.no_store.what}: {lab.paths.no_store.hint}", err=True)


def plan_text(plan: Any) -> list[str]:
    """Return the lines of the plan."""
    from sppr.cli.chain.commands import wired
    from sppr.host.root.privilege import is_root
    from sppr.run import pasteable

    socket = f"-L {plan.socket_name} " if plan.socket_name else ""
    lines = [f"session {plan.session}   (tmux {socket}attach -t ={plan.session}), state in {plan.run}"]
    parts = {part.name: part for part in plan.parts}
    for window in plan.windows:
        lines.append(f"\nwindow {window.name}")
        for pane in window.panes:
            if pane not in parts:
                lines += [f"  {pane}: your shell", f"    in:      {plan.folder}"]
                continue
            part = parts[pane]
            lines.append(f"  {pane}: after {', '.join(part.depends_on)}" if part.depends_on else f"  {pane}:")
            lines += [f"    in:      {plan.folder}", f"    command: {pasteable(part.command)}"]
            if part.ports:
                server = part.server or "the primary's vdevs"
                where = f"listening at {', '.join(part.sockets)}" if part.sockets else f"in {', '.join(part.regions)}"
                label = "first:  " if part.sockets else "then:   "
                lines.append(f"    {label} {', '.join(part.ports)} on {server}, {where}")
            if part.disk:
                lines.append(f"    disk:    {part.disk}")
            program = pasteable(part.program)
            lines.append(f"    becomes: {'sudo -- ' * (part.as_root and not is_root())}{program}")
    if plan.wiring.chains:
        lines += ["", "chains", *(f"  {line}" for line in wired(plan.wiring))]
    return lines


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@options.part_name
@click.option("-f", "--follow", is_flag=True, help="Follow the log, over restarts, until Ctrl-C or sppr down.")
@click.option("--raw", is_flag=True, help="Keep colours and other terminal escapes.  [default: in a terminal]")
@options.verb_session
def logs(name: str, follow: bool, raw: bool, session: str | None) -> None:
    """Print the log of a part, over all its runs. To a pipe or a file, print plain lines without terminal escapes."""
    from sppr import rotation
    from sppr.cli.session import load, session_of
    from sppr.cli.terminal.plain_text import PlainText
    from sppr.deadline import Deadline
    from sppr.lab.state import state as states
    from sppr.lab.state.state import check_names

    state = load(session_of(session), session)
    check_names(state, [name])
    log = state.plan.part(name).files(state.folder).log
    if rotation.is_truncated(log):
        click.echo(f"{name}: it has printed more than is kept: the first bytes are gone", err=True)
    plain = None if raw or sys.stdout.isatty() else PlainText()
    ticks = Deadline(math.inf).ticks(0.1) if follow else ()
    for chunk in rotation.read(log, lambda: follow and states.exists(state.plan.session), ticks):
        sys.stdout.buffer.write(plain.feed(chunk) if plain else chunk)
        sys.stdout.buffer.flush()
    if plain:
        sys.stdout.buffer.write(plain.end())
        sys.stdout.buffer.flush()


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@options.verb_session
@click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write commands of the prompt instead (playback FILE).",
)
def save(session: str | None, recipe: Path | None) -> None:
    """Print what runs now for conf.yml: as chains: if it forms chains, the rest as patches:."""
    from sppr.cli.context import reload
    from sppr.cli.session import load, session_of
    from sppr.errors import SpprError
    from sppr.lab.chains import observe
    from sppr.lab.chains import save as saving
    from sppr.lab.chains.proof import testbed
    from sppr.lab.state import state as states

    state = states.check_same_boot(load(session_of(session), session))
    if busy := testbed.in_use(state.folder):
        raise SpprError(
            f"a proof of {', '.join(busy)} is running, with probes at the ends", hint="save when it has ended"
        )
    parts = [part for part in state.plan.parts if part.name not in states.stopped_parts(state)]
    guests = [f"nfv:{part.id}" for part in parts if part.is_vm]
    asked = [*observe.processes(parts, state.plan.wiring), *guests]
    observed = observe.observe_processes(state.plan.api, dict.fromkeys(asked))
    silent = [f"{name} {why}" for name, why in observed.silent.items() if name in asked and name not in guests]
    if silent:
        raise SpprError(f"not all can be saved: {'; '.join(silent)}", hint="sppr status")
    if recipe is not None:
        lines = saving.recipe(parts, observed)
        recipe.write_text("\n".join(lines) + "\n")
        click.echo(f"{recipe}: {len(lines)} commands; at the prompt in ctrler: playback {recipe}")
        return
    lab = reload(state)
    if lab is None:
        raise SpprError(
            f"{state.plan.conf} is missing: it describes the parts of the lab", hint="sppr save --recipe FILE"
        )
    click.echo(saving.save(lab.config, state.plan.wiring, parts, observed).text(), nl=False)
