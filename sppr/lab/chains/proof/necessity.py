"""Show the level *necessity*: remove each patch of a chain in turn, and restore it."""

import time

from sppr.lab.chains.proof.probe_runs import ProbeRuns
from sppr.lab.chains.proof.result import Options, Proof, Restoration
from sppr.lab.chains.wiring import ChainWiring, Leg

#: Number of frames of each run.
FRAMES = 200


def show(chain: ChainWiring, runs: ProbeRuns, options: Options, proof: Proof) -> None:
    """Show that no frame arrives without a patch, and that all frames arrive when the patch is restored.

    Stop at the first patch for which this fails.
    """
    for direction, _ in chain.directions:
        for leg in runs.legs(direction):
            if not leg.own:
                _test_without(direction, leg, runs, options, proof)
            if proof.verdict != "pass":
                return
    own = dict.fromkeys(leg.by for leg in chain.legs if leg.own)
    proof.notes += [f"{vm}: its own software forwards, and was not removed" for vm in own]


def _test_without(direction: str, leg: Leg, runs: ProbeRuns, options: Options, proof: Proof) -> None:
    rate, size, text = options.rate, options.size, f"{leg.process}; patch {leg.src} {leg.dst} {leg.match}".rstrip()
    runs.client.disconnect(leg.process, leg.source)
    try:
        # The window is the whole run, because no arrivals open it again.
        (without,) = runs.frames([direction], FRAMES, rate, size=size, window=FRAMES, quiet=0.5 + FRAMES / rate)
    finally:
        runs.client.patch(leg.process, leg.source, leg.dst)
    (restored,) = runs.frames([direction], FRAMES, rate, size=size, window=options.window)
    blocked = _blocked_ms(direction, leg, runs, options)
    proof.repairs.append(Restoration(direction, text, FRAMES, without.received, restored.received, blocked))
    if without.received:
        what = f"{direction}: without `{text}`, {without.received} of {FRAMES} frames still arrived"
        proof.fail(what, "necessity")
    elif without.sent < FRAMES and leg is not runs.legs(direction)[0]:  # a source without its patch is not read
        proof.doubt(f"{direction}: without `{text}`, only {without.sent} of {FRAMES} frames were sent", "necessity")
    if not restored.is_complete:
        what = f"{direction}: after `{text}` was restored, {restored.received} of {restored.sent} frames arrived"
        proof.fail(what, "necessity")


def _blocked_ms(direction: str, leg: Leg, runs: ProbeRuns, options: Options) -> float:
    """Return the milliseconds without frames while a patch is removed and restored at once."""
    rate = min(options.rate, 5000)
    runs.start([direction], rate=rate, count=rate, size=options.size)
    time.sleep(0.02)
    runs.client.disconnect(leg.process, leg.source)
    runs.client.patch(leg.process, leg.source, leg.dst)
    time.sleep(0.05)
    runs.stop(direction)
    return round(runs.result(direction, 0, options.size).lost / rate * 1000, 3)
