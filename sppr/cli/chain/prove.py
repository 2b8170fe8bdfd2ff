"""``sppr chain prove``: show with packets that a chain works."""

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

#: Exit status of the command: the worst verdict of its chains.
EXIT = {"pass": 0, "fail": 7, "inconclusive": 8}


def prove(session: str, names: Sequence[str], options: Any, yes: bool, level: int | None = None) -> list[Any]:
    """Prove these chains of a session, or all chains if ``names`` is empty, and print each result.

    The caller must hold the session lock.
    ``level``: None for trace, or for reach where no more can be shown. Raise SpprError if an end carries traffic and
    the user did not agree to interrupt it.
    """
    from sppr.lab.state import state as states

    state = states.load_same_boot(session)
    chosen = [chain for chain in state.plan.wiring.chains if not names or chain.name in names]
    return prove_chains(state, chosen, options, yes, level)


def prove_chains(state: Any, chosen: Sequence[Any], options: Any, yes: bool, level: int | None = None) -> list[Any]:
    """Prove these chains of a lab, as ``prove``."""
    from dataclasses import replace

    from sppr.errors import Cancelled, ControlError
    from sppr.lab.chains.proof import result, testbed
    from sppr.lab.chains.proof.prove import prove as prove_chain
    from sppr.lab.chains.proof.prove import why_no_probes
    from sppr.lab.chains.proof.result import LEVELS, Proof
    from sppr.lab.state import journal
    from sppr.lab.state import state as states

    options = replace(options, level=_level(state, level))
    if options.level and not yes:
        ask(state, chosen)
    found = []
    with sigterm_as_interrupt():
        for chain in chosen:
            try:
                proof = prove_chain(state, chain, options)
            except KeyboardInterrupt:
                left = "nothing was changed" if why_no_probes(state, chain) else testbed.describe_ends(state.folder)
                raise Cancelled(f"chain {chain.name}: interrupted; {left}") from None
            except ControlError as e:
                gone = [part for part in states.stopped_parts(state) if part in chain.parts]
                what = f"{' and '.join(gone)} exited during the proof" if gone else e.what
                proof = Proof(chain.name, options.level)
                proof.doubt(f"{what}; {testbed.describe_ends(state.folder)}", LEVELS[min(options.level, 1)])
                proof.close()
            found.append(proof)
            journal.write(state.folder, "chain.proved", chain=chain.name, **result.figures(proof))
            click.echo("\n".join(lines(proof)))
    return found


def _level(state: Any, level: int | None) -> int:
    """Return the level that was asked for, or the default of this lab."""
    from sppr.lab.chains.proof.prove import highest_level

    return min(2, highest_level(state)) if level is None else level


def left_out(state: Any, level: int | None) -> list[Any]:
    """Return an inconclusive result for each chain that is not in the lab."""
    from sppr.lab.chains.proof.result import Proof

    found = []
    for chain in state.plan.wiring.left_out:
        proof = Proof(chain.name, _level(state, level))
        proof.doubt(f"it is not in this lab: {chain.why}", "consistency")
        proof.close()
        click.echo("\n".join(lines(proof)))
        found.append(proof)
    return found


def ask(state: Any, chains: Sequence[Any]) -> None:
    """Ask before the ends of chains that carry traffic are replaced. Raise SpprError without a terminal."""
    from sppr.errors import SpprError
    from sppr.lab.chains.proof.prove import traffic, why_no_probes

    for chain in chains:
        busy = {} if why_no_probes(state, chain) else traffic(state, chain)
        if not busy:
            continue
        listed = ", ".join(f"{port} ({rate:.0f} frames/s)" for port, rate in busy.items())
        what = f"chain {chain.name} carries traffic at {listed}, which probes at its ends interrupt"
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise SpprError(what, hint="stop the traffic, or: --yes")
        click.confirm(f"{what}. Continue?", abort=True)


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into KeyboardInterrupt, so that the ends are restored."""
    import signal

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def lines(proof: Any) -> list[str]:
    """Return the result of one chain: a line per direction, notes, the verdict."""
    name = click.style(proof.chain, bold=True)
    found = [f"{name}  {_run(run)}" for run in proof.runs]
    for one in proof.repairs:
        found.append(
            f"{name}  {one.direction}  without {one.patch}: {one.arrived_without} of {one.offered} frames;"
            f" with it: {one.arrived_after}; blocked {one.blocked_ms:.1f} ms while it was removed and restored"
        )
    for row in proof.impairments:
        found.append(f"{name}  {row.direction:7}  impairment {row.key}: asked {row.asked}, measured {row.measured}")
    found += [f"{name}  {note}" for note in proof.notes]
    colour = {"pass": "green", "fail": "red", "inconclusive": "yellow"}[proof.verdict]
    verdict = click.style(proof.verdict, fg=colour)
    if proof.verdict == "pass":
        return [*found, f"{verdict}: {', '.join(proof.shown)}"]
    found += [f"{name}  {reason}" for reason in proof.reasons]
    # A loss is located by the counters, which are the level trace.
    located = proof.at == "reach" and proof.level > 1 and proof.verdict == "fail" and " lost " in proof.reasons[0]
    return [*found, f"{verdict}: {'trace' if located else proof.at}"]


def _run(run: Any) -> str:
    text = f"{run.direction:7}  {run.received:,} of {run.sent:,} frames of {run.size} B  {run.lost:,} lost"
    text += f"  {run.reordered:,} reordered"
    for what in ("duplicate", "corrupt", "misdelivered"):
        if count := getattr(run, what):
            text += f"  {count:,} {what}"
    if run.received and run.latency_ns:
        text += "".join(f"  {name} {_time(run.latency_ns[name])}" for name in ("p50", "p99", "max"))
    return text


def _time(ns: int) -> str:
    return f"{ns / 1e6:.1f} ms" if ns >= 1_000_000 else f"{ns / 1e3:.1f} µs" if ns >= 1000 else f"{ns} ns"


def write_json(path: Path, proofs: Sequence[Any]) -> None:
    """Write the results as a list of objects."""
    text = json.dumps([asdict(proof) for proof in proofs], indent=1)
    path.write_text(text + "\n")


def write_junit(path: Path, proofs: Sequence[Any], session: str) -> None:
    """Write a JUnit report: a test case for each chain and level. An inconclusive one is an error."""
    from xml.etree import ElementTree as Xml

    suite = Xml.Element("testsuite", name=f"sppr chain prove ({session})")
    counts = {"tests": 0, "failures": 0, "errors": 0}
    for proof in proofs:
        for level in [*proof.shown, *([proof.at] if proof.at else [])]:
            case = Xml.SubElement(suite, "testcase", classname=f"chain.{proof.chain}", name=level)
            case.set("time", f"{proof.seconds if level in ('reach', proof.at) else 0:.3f}")
            counts["tests"] += 1
            if level == proof.at:
                kind = "failure" if proof.verdict == "fail" else "error"
                counts[f"{kind}s"] += 1
                Xml.SubElement(case, kind, message=proof.reasons[0]).text = "\n".join(proof.reasons)
    for key, count in counts.items():
        suite.set(key, str(count))
    suite.set("time", f"{sum(proof.seconds for proof in proofs):.3f}")
    Xml.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def exit_status(proofs: Sequence[Any]) -> int:
    """Return 0 if all chains pass, 7 if one fails, 8 if none fails and one is inconclusive."""
    verdicts = {proof.verdict for proof in proofs}
    return next((EXIT[verdict] for verdict in ("fail", "inconclusive") if verdict in verdicts), 0)
