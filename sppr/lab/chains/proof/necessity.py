"""The level necessity: remove each patch of a chain in turn, and restore it."""

import time

from sppr.lab.chains.proof.probe_runs import ProbeRuns
from sppr.lab.chains.proof.result import Options, Proof, Repair
from sppr.lab.chains.wiring import ChainWiring, Leg

#: Frames of each run.
FEW = 200


def show(chain: ChainWiring, runs: ProbeRuns, options: Options, proof: Proof) -> None:
    """Show that no frame arrives without a patch, and that all frames arrive when the patch is restored.

    Stop at the first patch for which this fails.
    """
    for direction, _ in chain.directions:
        for leg in runs.legs(direction):
            if not leg.own:
                _without(direction, leg, runs, options, proof)
            if proof.verdict != "pass":
                return
    own = dict.fromkeys(leg.by for leg in chain.legs if leg.own)
    proof.notes += [f"{vm}: its own software forwards, which was not taken away" for vm in own]


def _without(direction: str, leg: Leg, runs: ProbeRuns, options: Options, proof: Proof) -> None:
    rate, size, text = options.rate, options.size, f"{leg.process}; patch {leg.src} {leg.dst}"
    runs.client.disconnect(leg.process, leg.src)
    try:
        # All at once: nothing comes back that would open a window.
        (gone,) = runs.frames([direction], FEW, rate, size=size, window=FEW, quiet=0.5 + FEW / rate)
    finally:
        runs.client.patch(leg.process, leg.src, leg.dst)
    (back,) = runs.frames([direction], FEW, rate, size=size, window=options.window)
    blocked = _blocked(direction, leg, runs, options)
    proof.repairs.append(Repair(direction, text, FEW, gone.received, back.received, blocked))
    if gone.received:
        what = f"{direction}: without `{text}` {gone.received} of {FEW} frames arrived all the same"
        proof.fail(what, "necessity")
    elif gone.sent < FEW and leg is not runs.legs(direction)[0]:  # without its patch a source is not read
        proof.doubt(f"{direction}: without `{text}` only {gone.sent} of {FEW} frames were sent", "necessity")
    if not back.whole:
        what = f"{direction}: with `{text}` again {back.received} of {back.sent} frames arrived"
        proof.fail(what, "necessity")


def _blocked(direction: str, leg: Leg, runs: ProbeRuns, options: Options) -> float:
    """Return the milliseconds without frames while a patch is taken away and put back at once."""
    rate = min(options.rate, 5000)
    runs.start([direction], rate=rate, count=rate, size=options.size)
    time.sleep(0.02)
    runs.client.disconnect(leg.process, leg.src)
    runs.client.patch(leg.process, leg.src, leg.dst)
    time.sleep(0.05)
    runs.stop(direction)
    return round(runs.result(direction, 0, options.size).lost / rate * 1000, 3)
