"""``sppr events`` and ``sppr analyze``: what happened to the lab, and why its bring-up took as long as it did."""

import json
import math
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingCommand
from sppr.lab.state.journal import plain

_COLOURS = {"failed": "red", "exited": "red", "disconnected": "red", "ready": "green", "connected": "green"}


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("-f", "--follow", is_flag=True, help="Print new events, until Ctrl-C or sppr down.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@options.verb_session
def events(names: tuple[str, ...], follow: bool, as_json: bool, session: str | None) -> None:
    """Print what happened to the lab: parts, processes, ports, patches, chains. NAME: only events of this part, process
    (primary, nfv:1) or chain.
    """
    from sppr.cli.session import load, session_of
    from sppr.deadline import Deadline
    from sppr.errors import SpprError
    from sppr.lab.state import journal
    from sppr.lab.state import state as states
    from sppr.live import critical_chain

    state = load(session_of(session), session)
    found = journal.read(state.folder)
    known = critical_chain.names(found) | {part.name for part in state.plan.parts}
    if unknown := [name for name in names if name not in known]:
        raise SpprError(f"{', '.join(unknown)}: no event of this name", hint=f"one of {', '.join(sorted(known))}")

    def alive() -> Any:
        for tick in Deadline(math.inf).ticks(0.2):
            if not states.exists(state.plan.session):
                return
            yield tick

    for event in journal.follow(state.folder, alive() if follow else ()):
        if names and not {str(event.get(key)) for key in ("part", "process", "chain")} & set(names):
            continue
        click.echo(json.dumps(event) if as_json else line(event))


def line(event: dict[str, Any]) -> str:
    """Return an event as a line: local time, subject, text."""
    stamp = datetime.fromtimestamp(event["time"]).isoformat(sep=" ", timespec="milliseconds")
    kind = event["event"].partition(".")[2]
    subject = str(event.get("part") or event.get("process") or event.get("chain") or "lab")
    subject = f"chain {subject}" if "chain" in event else subject
    return f"{stamp}  {plain(subject):10}  {click.style(plain(_text(event, kind)), fg=_colour(event, kind))}"


def _colour(event: dict[str, Any], kind: str) -> str | None:
    if kind == "state":
        return {"up": "green", "degraded": "yellow", "down": "red"}.get(str(event.get("state")))
    if kind == "proved":
        return "green" if event.get("verdict") == "pass" else "red"
    return None if kind == "exited" and event.get("status") in (0, 130) else _COLOURS.get(kind)


def _text(event: dict[str, Any], kind: str) -> str:
    """Return the text of an event without its subject."""
    reason = f": {event['reason']}" if event.get("reason") else ""
    match event["event"]:
        case "up.started":
            parts = event.get("parts")
            return f"bring-up of {', '.join(parts) if isinstance(parts, dict) and parts else 'nothing'}"
        case "up.step":
            return f"{event.get('step')}: done"
        case "up.ready":
            return "up"
        case "part.waiting":
            return f"waiting for {event.get('reason')}"
        case "part.started":
            return f"started, pid {event.get('pid')}"
        case "part.ready":
            return f"ready after {event.get('seconds')} s"
        case "part.exited":
            return f"exited with {exit_text(event.get('status'))}"
        case "part.restarted":
            return f"restarted by its policy ({event.get('restarts')} in all)"
        case "process.changed":
            return str(event.get("change"))
        case "chain.state":
            return f"{event.get('state')}{reason}"
        case "chain.proved":
            return f"proof: {event.get('verdict')}, {event.get('lost')} of {event.get('sent')} frames lost{reason}"
    return f"{kind}{reason}"


def exit_text(status: object) -> str:
    """Return the exit status of a pane's file as text: a signal by its name."""
    if isinstance(status, int) and status > 128:
        try:
            return f"signal {signal.Signals(status - 128).name}"
        except ValueError:
            return f"status {status}"
    return f"status {status + 256 if isinstance(status, int) and status < 0 else status}"


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE.svg", help="Draw all parts into this file, too."
)
@options.verb_session
def analyze(output: Path | None, session: str | None) -> None:
    """Print the critical chain of the last bring-up: the parts that determined how long it took."""
    from sppr.cli.session import load, session_of
    from sppr.errors import SpprError
    from sppr.host import atomic_write
    from sppr.lab.state import journal
    from sppr.live import critical_chain

    if output is not None and output.suffix != ".svg":
        raise SpprError(f"{output}: the picture is an SVG", hint=f"-o {output.with_suffix('.svg')}")
    state = load(session_of(session), session)
    found = critical_chain.last_bring_up(journal.read(state.folder))
    if found is None:
        raise SpprError("the journal of this session has no bring-up", hint="sppr down, then sppr up")
    when = datetime.fromtimestamp(found.time).isoformat(sep=" ", timespec="seconds")
    if found.seconds is None:
        click.echo(
            f"the bring-up of {when} failed or has not ended{f': {plain(found.reason)}' if found.reason else ''}"
        )
    else:
        click.echo(f"the bring-up of {when} took {found.seconds:.3f} s")
    click.echo("\n".join(critical_chain.text(found)))
    if output is not None:
        try:
            atomic_write.write(output, critical_chain.svg(found))
        except OSError as e:
            raise SpprError(f"{output}: {e.strerror}", hint="use a file that can be written") from None
        click.echo(f"{output}: written")
