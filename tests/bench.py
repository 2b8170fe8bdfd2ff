"""``make bench``: what our own code costs, as ratios measured in one run, printed and kept in build/bench.json.

A ratio of 1.0 is the thing itself; what stands above it is ours. Figures of an idle machine; medians of five where
a single one takes less than a second.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sppr.cli.gather import site_of  # noqa: E402
from sppr.host import pids  # noqa: E402
from sppr.host.facts import Facts  # noqa: E402
from sppr.images.build import BASE_NAME  # noqa: E402
from sppr.images.qemu_img import overlay  # noqa: E402
from sppr.lab import planner  # noqa: E402
from sppr.lab.plan import Flags  # noqa: E402
from sppr.lab.state import State  # noqa: E402
from sppr.tmux.server import PaneSpec, Tmux, WindowSpec  # noqa: E402
from tests.live import labs  # noqa: E402

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def median_ratio(ours: Callable[[], object], theirs: Callable[[], object], times: int = 5) -> float:
    """Median of ours over median of theirs, taken in turns so that a busy moment hits both."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(times)]
    return statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs)


def call(*argv: object) -> None:
    subprocess.run([str(a) for a in argv], check=True, **QUIET)  # type: ignore[call-overload]


def bring_up(folder: Path) -> float:
    """Bring-up of the default lab over the sum of its parts' own ready times along the longest chain."""
    lab = labs.make(folder, "benchlab", ROOT / "runscripts" / BASE_NAME)
    try:
        lab.wakeup().check_returncode()  # makes templates and instances, which are there from then on
        lab.down().check_returncode()
        took = seconds(lambda: lab.wakeup().check_returncode())
        rows = lab.status()
        needs = {
            part["name"]: part["needs"] for part in json.loads((lab.state / "state.json").read_text())["plan"]["parts"]
        }

        def chain(name: str) -> float:
            return float(rows[name]["ready_after"]) + max((chain(need) for need in needs[name]), default=0.0)

        longest = max(chain(name) for name in rows)
        print(f"    bring-up {took:.2f} s, longest chain {longest:.2f} s")
        return took / longest
    finally:
        lab.end()


def windows(folder: Path) -> float:
    """14 windows by our tmux room over one raw chained call of tmux with the same panes."""
    specs = [WindowSpec(f"w{n}", (PaneSpec(f"p{n}", folder, ("/bin/sh", "-c", "read x")),)) for n in range(14)]
    raw: list[str] = []
    for n in range(14):
        verb = ["new-session", "-d", "-s", "raw"] if n == 0 else [";", "new-window", "-t", "=raw:"]
        raw += [*verb, "-n", f"w{n}", "-c", str(folder), "/bin/sh", "-c", "read x"]
    call("tmux", "-L", "sppr-bench", "new-session", "-d", "-s", "keep", "/bin/sh", "-c", "read x")
    server = Tmux("sppr-bench")

    def ours() -> None:
        server.build("ours", specs, (160, 48))

    def theirs() -> None:
        call("tmux", "-L", "sppr-bench", *raw)

    try:
        pairs = []
        for _ in range(5):
            pairs.append((seconds(ours), seconds(theirs)))
            server.kill_session("ours")
            server.kill_session("raw")
        return statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs)
    finally:
        call("tmux", "-L", "sppr-bench", "kill-server")


def instances(folder: Path) -> float:
    """An instance, made whole or not at all, over a raw ``qemu-img create -b``."""
    base = folder / "base.qcow2"
    call("qemu-img", "create", "-q", "-f", "qcow2", base, "2G")
    numbers = iter(range(1000))
    return median_ratio(
        lambda: overlay(base, "qcow2", folder / f"{next(numbers)}.qcow2", 0o644),
        lambda: call(
            "qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", folder / f"{next(numbers)}.qcow2"
        ),
    )


def import_click() -> None:
    call(sys.executable, "-c", "import click")


def start() -> float:
    """``wakeup -h`` over the import of click alone."""
    wakeup = Path(sys.executable).parent / "wakeup"
    return median_ratio(lambda: call(wakeup, "-h"), import_click)


def up_again(folder: Path) -> float:
    """``wakeup`` of a lab that is up, over the import of click alone."""
    lab, flags = labs.make(folder, "benchagain", None), ("-ns", "2", "-nr", "0", "-nv", "0")
    try:
        lab.wakeup(*flags).check_returncode()
        return median_ratio(lambda: lab.wakeup(*flags).check_returncode(), import_click)
    finally:
        lab.end()


def status_of_32(folder: Path) -> float:
    """``sppr status`` of 32 parts, half of them dead with a log to look into, over the import of click alone."""
    lab = labs.make(folder, "benchstatus", None)
    coremasks = "".join(f"  - {{id: {n}, coremask: {3 << 2 * n:#x}}}\n" for n in range(1, 31))
    head, rest = lab.conf.read_text().split("secondaries:\n")
    lab.conf.write_text(f"{head}secondaries:\n{coremasks}{rest[rest.index('vm: ') :]}")
    lab.state.mkdir(parents=True)
    os.environ["SPPR_RUN_DIR"] = lab.env["SPPR_RUN_DIR"]
    config, site = site_of(lab.conf, None)
    plan = planner.make(config, Flags(nof_sec=30, nof_ring=0, nof_vhost=0), Facts(cpus=(0, 1)), site)
    assert len(plan.parts) == 32
    State(plan, pids.boot_id(), "up").save()
    ours = pids.current(os.getpid())
    assert ours is not None
    for number, part in enumerate(plan.parts):
        files = part.files(lab.state)
        files.record.write_text(f"{ours.pid} {ours.started + number % 2} 0\n")
        files.log.write_text("EAL: a line like many others\n" * 1000)
    assert len(lab.status()) == 32
    return median_ratio(lambda: lab.sppr("status", "--session", lab.session), import_click)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="sppr-bench-"))
    benches: dict[str, Callable[[], float]] = {
        "bring-up / longest chain of parts": lambda: bring_up(_new(folder / "lab")),
        "14 windows / one raw tmux call": lambda: windows(folder),
        "instance / raw qemu-img create": lambda: instances(_new(folder / "img")),
        "wakeup -h / import click": start,
        "wakeup again, all is well / import click": lambda: up_again(_new(folder / "again")),
        "status of 32 parts / import click": lambda: status_of_32(_new(folder / "status")),
    }
    ratios = {}
    try:
        for name, bench in benches.items():
            ratios[name] = round(bench(), 3)
            print(f"{name}: {ratios[name]:.2f}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    target = ROOT / "build" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    kept = json.loads(target.read_text()) if target.exists() else {}
    target.write_text(json.dumps(kept | ratios, indent=1) + "\n")
    print(f"written to {target}")


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
