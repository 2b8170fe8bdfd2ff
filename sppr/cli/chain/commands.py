"""``sppr chain``: the service chains of the lab."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingGroup
from sppr.cli.hosts.dispatch import joined_or_local, over_hosts
from sppr.units import NO_NUMBER, rate_text

_COLOURS = {"up": "green", "degraded": "yellow", "down": "red", "not in this lab": None}


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    from sppr.cli.session import session_of
    from sppr.errors import SpprError
    from sppr.lab.state import state as states

    try:
        chains = states.load(session_of(ctx.params.get("session"))).plan.wiring.chains
    except SpprError:
        return []
    return [chain.name for chain in chains if chain.name.startswith(incomplete)]


def _state(session: str | None) -> Any:
    """Return the state of a session that runs."""
    from sppr.cli.session import load, session_of
    from sppr.lab.state import state as states

    return states.check_same_boot(load(session_of(session), session))


def _chosen(state: Any, names: Sequence[str]) -> None:
    """Raise SpprError for a name that is not a chain of the session. The error lists the chains."""
    from sppr.errors import SpprError

    wiring = state.plan.wiring
    known = [chain.name for chain in wiring.chains]
    left = {chain.name: chain.why for chain in wiring.left_out}
    for name in names:
        if name in left:
            raise SpprError(f"chain {name} is not in this lab: {left[name]}", hint="sppr up with its parts, then this")
        if name not in known:
            listed = f"its chains: {', '.join(known)}" if known else "its conf.yml has no chains: docs/chain.md"
            raise SpprError(f"{name}: no chain of session {state.plan.session}", hint=listed)


@click.group(cls=ErrorReportingGroup, context_settings=CONTEXT, invoke_without_command=True)
@options.verb_session
@click.option("--json", "as_json", is_flag=True, help="A list of objects: name state path forward reverse dropped why.")
@click.pass_context
def main(ctx: click.Context, session: str | None, as_json: bool) -> int:
    """Show the service chains of the lab: state, rates and loss. Exit status 0 if all are up, 1 otherwise."""
    if ctx.invoked_subcommand is not None:
        if session is not None or as_json:  # the subcommand would ignore it
            raise click.UsageError(f"options go behind the command: sppr chain {ctx.invoked_subcommand} --session NAME")
        return 0
    from sppr.lab.chains import status

    with joined_or_local(session) as state:
        found = status.chains(state)
    left = state.plan.wiring.left_out
    if as_json:
        absent = [{"name": c.name, "state": "not in this lab", "path": c.path, "why": [c.why]} for c in left]
        click.echo(json.dumps([*(asdict(row) for row in found), *absent], indent=1))
    elif not found and not left:
        click.echo(f"session {state.plan.session} has no chains: docs/chain.md")
    else:
        table: list[Sequence[str]] = [("CHAIN", "STATE", "PATH", "FORWARD", "REVERSE", "LOSS")]
        table += [_line(row) for row in found]
        table += [(c.name, "not in this lab", " → ".join(c.path), NO_NUMBER, NO_NUMBER, c.why) for c in left]
        _print(table, colour=1)
    return 0 if all(row.state == "up" for row in found) else 1


def _line(row: Any) -> tuple[str, ...]:
    loss = row.why[0] if row.why else NO_NUMBER if row.dropped is None else f"{row.dropped:,}"
    return row.name, row.state, " → ".join(row.path), rate_text(row.forward), rate_text(row.reverse), loss


def _print(table: Sequence[Sequence[str]], colour: int = -1) -> None:
    """Print rows in columns. ``colour``: the column that holds a state."""
    widths = [max(len(row[n]) for row in table) for n in range(len(table[0]))]
    for number, row in enumerate(table):
        cells = [f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)]
        if number and colour >= 0:
            cells[colour] = click.style(cells[colour], fg=_COLOURS.get(row[colour]))
        click.echo("  ".join(cells).rstrip())


@main.command()
@click.argument("name", shell_complete=_names)
@options.verb_session
@click.option("--json", "as_json", is_flag=True, help="A list of objects, one a patch.")
def show(name: str, session: str | None, as_json: bool) -> None:
    """Show each hop of a chain with its counters, host and guest."""
    from sppr.lab.chains import status

    with joined_or_local(session) as state:
        _chosen(state, [name])
        chain = state.plan.wiring.chain(name)
        found = status.legs(chain, status.observe_chains(state))
    if as_json:
        click.echo(json.dumps([asdict(row) for row in found], indent=1))
        return
    for direction, _ in chain.directions:
        click.echo(f"{direction}")
        table = [("HOP", "FROM", "BY", "TO", "FRAMES", "DROPPED")]
        for row in (one for one in found if one.direction == direction):
            inside = f" in {row.by}" if not row.hop else f" {row.match}" if row.match else ""
            by = row.by if row.hop else "guest"
            counts = [NO_NUMBER if count is None else f"{count:,}" for count in (row.frames, row.dropped)]
            table.append((str(row.hop or ""), row.src + inside, by, row.dst, counts[0], counts[1]))
        _print(table)


@main.command()
@click.argument("names", nargs=-1, shell_complete=_names, metavar="[NAME]…")
@options.verb_session
def apply(names: tuple[str, ...], session: str | None) -> int:
    """Apply these chains, or all, as conf.yml has them now. Correct patches are not touched."""
    from dataclasses import replace

    from sppr import log
    from sppr.cli.context import reload, rewired
    from sppr.cli.session import own_session
    from sppr.lab.chains import ends, reconcile, status
    from sppr.lab.state import state as states

    name = own_session(session)
    _state(name)
    with states.locked(name):
        log.log_to(states.log_path())
        state = states.load_same_boot(name)
        lab = reload(state)
        if lab is not None:
            state.plan = rewired(lab, state.plan, state.plan)
        _chosen(state, names)
        for line in (*ends.prepare(state.plan), *ends.move(state.plan)):
            click.echo(line)
        changes, observed = reconcile.apply(state.plan, states.stopped_parts(state), names or None)
        for step in changes:
            click.echo(str(step))
        if not names:
            state.plan = state.plan.prune_retired(observed)
        replace(state).save()
    wiring = state.plan.wiring
    for left in wiring.left_out if not names else ():
        click.echo(f"chain {left.name}: left out: {left.why}")
    chosen = [chain for chain in wiring.chains if not names or chain.name in names]
    found = status.chain_states(state.plan, observed)
    for chain in chosen:
        standing, why = found[chain.name]
        click.echo(f"chain {chain.name}: {standing}" + (f": {why[0]}" if why else ""))
    return 0 if all(found[chain.name][0] == "up" for chain in chosen) else 1


@main.command()
@click.argument("names", nargs=-1, shell_complete=_names, metavar="[NAME]…")
@options.verb_session
@click.option("--all", "every", is_flag=True, help="Prove each chain of the lab.")
@click.option(
    "--level", type=click.IntRange(0, 3), show_default="2; 1 over SPP's own programs",
    help="0 consistency, 1 reach, 2 trace, 3 necessity; each includes the levels below.",
)  # fmt: skip
@click.option(
    "--frames", type=click.IntRange(1, 100_000_000), default=10_000, show_default=True, help="Frames in each direction."
)
@click.option("--rate", type=click.IntRange(1, 100_000_000), default=10_000, show_default=True, help="Frames a second.")
@click.option("--size", type=click.IntRange(64, 9000), default=64, show_default=True, help="Bytes, with FCS.")
@click.option(
    "--window", type=click.IntRange(1, 1_000_000), default=32, show_default=True,
    help="Frames in flight, at most.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Interrupt traffic at the ends without a question.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), metavar="FILE", help="Write the result as JSON.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write a JUnit report.")
def prove(
    names: tuple[str, ...], session: str | None, every: bool, level: int | None, yes: bool, json_file: Path | None,
    junit: Path | None, **words: int,
) -> int:  # fmt: skip
    """Show with packets that frames cross a chain: all, once, in order, unchanged, and nowhere else.

    Probes replace the ends of the chain for some seconds. Without probes, frames go from tap to tap at a low rate.
    Exit status 0 pass, 7 fail, 8 inconclusive.
    """
    from sppr import log
    from sppr.cli.chain import prove as proof
    from sppr.cli.session import own_session
    from sppr.errors import SpprError
    from sppr.lab.chains.proof.result import Options
    from sppr.lab.state import state as states

    if (lab := over_hosts(session=session)) is not None:
        from sppr.cli.hosts import chains

        return chains.prove(lab, names, every, level, words, yes, json_file, junit)
    name = own_session(session)
    state = _state(name)
    if bool(names) == every:
        known = ", ".join(chain.name for chain in state.plan.wiring.chains) or "none"
        raise SpprError("name the chains to prove, or --all", hint=f"chains of session {name}: {known}")
    _chosen(state, names)
    with states.locked(name):
        log.log_to(states.log_path())
        found = proof.prove(name, names, Options(**words), yes, level)
    if every:
        found += proof.left_out(state, level)
    if not found:
        raise SpprError(f"session {name} has no chains, so nothing was proved", hint="docs/chain.md")
    if json_file is not None:
        proof.write_json(json_file, found)
    if junit is not None:
        proof.write_junit(junit, found, name)
    return proof.exit_status(found)


class _Sizes(click.ParamType[tuple[str, ...]]):
    """Frame sizes with FCS, 64 to 9000, and ``imix``, with commas between them."""

    name = "sizes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        words = tuple(word.strip() for word in value.split(",") if word.strip())
        for word in words:
            if word != "imix" and not (word.isascii() and word.isdecimal() and 64 <= int(word) <= 9000):
                self.fail(f"{word!r} is neither imix nor a size from 64 to 9000", param, ctx)
        if not words:
            self.fail("no size", param, ctx)
        return words


@main.command()
@click.argument("names", nargs=-1, shell_complete=_names, metavar="[NAME]…")
@options.verb_session
@click.option("--all", "every", is_flag=True, help="Measure each chain of the lab, one after the other.")
@click.option("--sizes", type=_Sizes(), default="64,512,1518,imix", show_default=True, help="Bytes, with FCS.")
@click.option(
    "--goal", "goals", type=click.Choice(["ndr", "pdr", "rfc2544", "tst009", "quick"]), multiple=True,
    default=("ndr", "pdr"), show_default=True, help="Search goal; repeatable.",
)  # fmt: skip
@click.option(
    "--density", type=click.IntRange(0, 16), default=0, help="Measure 1, 2, 4, … up to this many chains at once."
)
@click.option("--yes", is_flag=True, help="Interrupt traffic at the ends without a question.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), metavar="FILE", help="Write all figures.")
@click.option("--svg", type=click.Path(path_type=Path), metavar="FILE", help="Write a chart.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write a JUnit report.")
def bench(
    names: tuple[str, ...], session: str | None, every: bool, sizes: tuple[str, ...], goals: tuple[str, ...],
    density: int, yes: bool, json_file: Path | None, svg: Path | None, junit: Path | None,
) -> None:  # fmt: skip
    """Find the highest rates that a chain carries, and its latency at shares of them.

    Goals: ndr, no loss; pdr, 0.5 % loss; rfc2544 and tst009, trials of 60 s; quick, a rough first look. The search is
    MLRsearch (RFC 9971). Probes replace the ends meanwhile.
    """
    from sppr import log
    from sppr.cli.chain import bench as chain_bench
    from sppr.cli.chain import prove
    from sppr.cli.session import own_session
    from sppr.errors import Cancelled, SpprError
    from sppr.lab.chains.proof import testbed
    from sppr.lab.chains.proof.prove import why_no_probes
    from sppr.lab.state import state as states

    name = own_session(session)
    _chosen(_state(name), names)
    if not names and not every:
        raise SpprError("name the chains to measure, or --all", hint="sppr chain lists them")
    with states.locked(name):
        log.log_to(states.log_path())
        state = states.load_same_boot(name)
        chosen = [chain for chain in state.plan.wiring.chains if every or chain.name in names]
        if len(chosen) < density:
            raise SpprError(f"--density {density}: {len(chosen)} chains are named", hint="name as many, or --all")
        for chain in chosen:
            if unable := why_no_probes(state, chain):
                raise SpprError(f"chain {chain.name}: {unable}", hint="it cannot be measured so")
        if not yes:
            prove.ask(state, chosen)
        with prove.sigterm_as_interrupt():
            try:
                found = chain_bench.run(state, chosen, sizes, goals, density)
            except KeyboardInterrupt:
                raise Cancelled(f"interrupted; {testbed.describe_ends(state.folder)}") from None
    chain_bench.write(found, json_file, svg, junit, name)


@main.command()
@options.verb_session
@click.option(
    "--svg", type=click.Path(path_type=Path), metavar="FILE", help="Write the picture there.  [default: stdout]"
)
def draw(session: str | None, svg: Path | None) -> None:
    """Draw the chains as SVG: one lane a chain, from left to right."""
    from sppr.lab.chains import chart, status

    state = _state(session)
    states = {row.name: row.state for row in status.chains(state, interval=0)}
    picture = chart.lanes(state.plan.wiring, {name: str(standing) for name, standing in states.items()})
    if svg is None:
        click.echo(picture, nl=False)
    else:
        svg.write_text(picture)


@main.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@options.verb_session
@click.argument("name", shell_complete=_names)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[END] [-- COMMAND…]")
def shell(session: str | None, name: str, words: tuple[str, ...]) -> None:
    """Run a shell, or a command, in the network namespace of an end of a chain.

    END is the netns of the end as conf.yml has it; by default the first one of the chain.
    """
    import os

    from sppr.errors import SpprError
    from sppr.host.network import netns
    from sppr.host.root import privilege
    from sppr.lab.chains import ends
    from sppr.run import find_program

    state = _state(session)
    _chosen(state, [name])
    known = {end.netns: end for end in state.plan.wiring.ends if end.chain == name}
    if not known:
        hint = "ends: {tap:0: {netns: client, address: 10.20.0.1/24}} in conf.yml"
        raise SpprError(f"chain {name}: no end of it is in a namespace", hint=hint)
    first, *command = words if words and words[0] in known else (next(iter(known)), *words)
    command = command[1:] if command[:1] == ["--"] else command
    if command and words and words[0] != "--" and words[0] not in known:
        raise SpprError(f"{words[0]}: no end of chain {name}", hint=f"its ends: {', '.join(known)}; a command after --")
    space = ends.name_of(state.plan, known[first])
    if netns.created_at(space) is None:
        raise SpprError(f"namespace {space} is gone", hint="sppr chain apply, then sppr restart pri")
    if command and "/" not in command[0]:
        command[0] = find_program(command[0])
    argv = [
        *netns.exec_command(
            space, [*privilege.drop_to_user_argv(), *(command or [os.environ.get("SHELL") or "/bin/sh"])]
        )
    ]
    argv = argv if privilege.is_root() else [find_program("sudo"), "--", *argv]
    os.execv(argv[0], argv)  # noqa: S606


@main.command()
@options.lab
@click.option("--json", "as_json", is_flag=True, help="The wiring as state.json keeps it.")
def plan(conf: Path | None, session: str | None, socket_name: str | None, as_json: bool, **flags: Any) -> None:
    """Print the ports, rings and patches that each chain of conf.yml would get, and change nothing."""
    from sppr.cli.context import gather

    wiring = gather(conf, session, socket_name, flags, named_base=False).plan.wiring
    if as_json:
        click.echo(json.dumps(asdict(wiring), indent=1))
        return
    click.echo("\n".join(wired(wiring)) or "conf.yml has no chains: docs/chain.md")


def wired(wiring: Any) -> list[str]:
    """Return the lines of the plan of chains: a paragraph per chain, a line per patch."""
    lines: list[str] = []
    for chain in wiring.chains:
        lines.append(f"{chain.name}: {' → '.join(chain.path)}")
        for direction, legs in chain.directions:
            lines += [f"  {direction if leg is legs[0] else '':8} {_leg(leg)}" for leg in legs]
    for left in wiring.left_out:
        lines += [f"{left.name}: {' → '.join(left.path)}", f"  left out: {left.why}"]
    return lines


def _leg(leg: Any) -> str:
    hop = f"hop {leg.hop}" if leg.hop else "     "
    if leg.own:
        return f"{hop}  {leg.by:8} its own software forwards from {leg.src} to {leg.dst}"
    return f"{hop}  {leg.by:8} patch {leg.src} {leg.dst}{leg.match and f' {leg.match}'}"
