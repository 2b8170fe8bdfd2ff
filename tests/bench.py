"""The cost of the launcher, as ratios of one run: ours over the same work done by the program below it.

A ratio of 1.0 means that our code costs nothing. Figures are medians of several repetitions where one repetition takes
less than a second. They hold for an idle machine.
"""

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sppr.cli.context import load_paths  # noqa: E402
from sppr.host.facts import Facts  # noqa: E402
from sppr.host.process import pids  # noqa: E402
from sppr.images.build import BASE_NAME  # noqa: E402
from sppr.images.qemu_img import overlay  # noqa: E402
from sppr.lab.plan import planner  # noqa: E402
from sppr.lab.plan.plan import Flags  # noqa: E402
from sppr.lab.state.state import State  # noqa: E402
from sppr.tmux.commands import PaneSpec, WindowSpec  # noqa: E402
from sppr.tmux.server import Tmux  # noqa: E402
from tests.bench_results import Results  # noqa: E402
from tests.live import labs  # noqa: E402

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def median_ratio(ours: Callable[[], object], theirs: Callable[[], object], times: int) -> float:
    """Median of ours over median of theirs, taken in turns so that a busy moment slows both."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(times)]
    return statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs)


def call(*argv: object) -> None:
    subprocess.run([str(a) for a in argv], check=True, **QUIET)  # type: ignore[call-overload]


def import_click() -> None:
    call(sys.executable, "-c", "import click")


def checked(done: subprocess.CompletedProcess[str]) -> None:
    """Print what a failed command printed, and raise."""
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
    done.check_returncode()


def bring_up(results: Results, folder: Path) -> None:
    """Bring-up of the default lab over the sum of its parts' own ready times along the longest chain of dependencies.

    Then ``sppr status`` of its six parts over the import of click alone, as typed in the folder of the lab. The smoke
    run has four parts: it starts no VM, which takes tens of seconds on a machine without KVM.
    """
    lab = labs.make(folder, "benchlab", ROOT / "runscripts" / BASE_NAME)
    flags = ("-nr", "0", "-nv", "0") if results.smoke else ()
    try:
        checked(lab.wakeup(*flags))  # the first bring-up creates templates and instances for the later ones
        ratios = [_bring_up_again(lab, flags) for _ in range(results.times(3))]
        results.add("bring-up / longest chain of parts", statistics.median(ratios))
        assert len(lab.status()) == (4 if results.smoke else 6)
        status = median_ratio(lambda: checked(_status(lab)), import_click, results.times(10))
        results.add("sppr status of 6 parts / import click", status)
    finally:
        lab.end()


def _bring_up_again(lab: labs.Lab, flags: tuple[str, ...]) -> float:
    checked(lab.down())
    took = seconds(lambda: checked(lab.wakeup(*flags)))
    rows = lab.status()
    plan = json.loads((lab.state / "state.json").read_text())["plan"]
    needs = {part["name"]: part["depends_on"] for part in plan["parts"]}

    def chain(name: str) -> float:
        return float(rows[name]["ready_after"]) + max((chain(need) for need in needs[name]), default=0.0)

    longest = max(chain(name) for name in rows)
    print(f"    bring-up {took:.2f} s, longest chain {longest:.2f} s", flush=True)
    return took / longest


def windows(results: Results, folder: Path) -> None:
    """14 windows built by sppr.tmux over one raw chained tmux call that builds the same windows."""
    specs = [WindowSpec(f"w{n}", (PaneSpec(f"p{n}", folder, ("/bin/sh", "-c", "read x")),)) for n in range(14)]
    raw: list[str] = []
    for n in range(14):
        verb = ["new-session", "-d", "-s", "raw"] if n == 0 else [";", "new-window", "-t", "=raw:"]
        raw += [*verb, "-n", f"w{n}", "-c", str(folder), "/bin/sh", "-c", "read x"]
    call("tmux", "-L", "sppr-bench", "new-session", "-d", "-s", "keep", "/bin/sh", "-c", "read x")
    server = Tmux("sppr-bench")
    try:
        pairs = []
        for _ in range(results.times(9)):
            ours = seconds(lambda: server.create_session("ours", specs, (160, 48), "bench"))
            pairs.append((ours, seconds(lambda: call("tmux", "-L", "sppr-bench", *raw))))
            server.kill_session("ours")
            server.kill_session("raw")
    finally:
        call("tmux", "-L", "sppr-bench", "kill-server")
    ratio = statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs)
    results.add("14 windows / one raw tmux call", ratio)


def instances(results: Results, folder: Path) -> None:
    """An instance, which appears complete or not at all, over a raw ``qemu-img create -b``."""
    base = folder / "base.qcow2"
    call("qemu-img", "create", "-q", "-f", "qcow2", base, "2G")
    names = (folder / f"{n}.qcow2" for n in itertools.count())
    create = ("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2")
    ratio = median_ratio(
        lambda: overlay(base, "qcow2", next(names), 0o644), lambda: call(*create, next(names)), results.times(9)
    )
    results.add("instance / raw qemu-img create", ratio)


def start(results: Results) -> None:
    """``wakeup -h`` over the import of click alone."""
    wakeup = Path(sys.executable).parent / "wakeup"
    results.add("wakeup -h / import click", median_ratio(lambda: call(wakeup, "-h"), import_click, results.times(10)))


def up_again(results: Results, folder: Path) -> None:
    """``wakeup`` of a lab that is up over the import of click alone."""
    lab, flags = labs.make(folder, "benchagain", None), ("-ns", "2", "-nr", "0", "-nv", "0")
    try:
        checked(lab.wakeup(*flags))
        again = median_ratio(lambda: checked(lab.wakeup(*flags)), import_click, results.times(5))
        results.add("wakeup of a lab that is up / import click", again)
    finally:
        lab.end()


def _status(lab: labs.Lab) -> subprocess.CompletedProcess[str]:
    """Run the installed program in the folder of the lab, as a user does."""
    sppr = Path(sys.executable).parent / "sppr"
    return subprocess.run(
        [sppr, "status"], env=lab.env, cwd=lab.folder, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def _secondaries(lab: labs.Lab, count: int) -> None:
    """Write ``count`` secondaries into conf.yml."""
    coremasks = "".join(f"  - {{id: {n}, coremask: {3 << 2 * n:#x}}}\n" for n in range(1, count + 1))
    head, rest = lab.conf.read_text().split("secondaries:\n")
    lab.conf.write_text(f"{head}secondaries:\n{coremasks}{rest[rest.index('vm: ') :]}")


def status_of_32(results: Results, folder: Path) -> None:
    """``sppr status`` of 32 parts over the import of click alone. Half of the parts are dead and have a log."""
    lab = labs.make(folder, "benchstatus", None)
    _secondaries(lab, 30)
    lab.state.mkdir(parents=True)
    os.environ["SPPR_RUN_DIR"] = lab.env["SPPR_RUN_DIR"]
    config, paths = load_paths(lab.conf, None)
    plan = planner.make(config, Flags(nof_sec=30, nof_ring=0, nof_vhost=0), Facts(cpus=(0, 1)), paths)
    assert len(plan.parts) == 32
    State(plan, pids.boot_id(), "up").save()
    ours = pids.current(os.getpid())
    assert ours is not None
    for number, part in enumerate(plan.parts):
        files = part.files(lab.state)
        files.record.write_text(f"{ours.pid} {ours.started + number % 2} 0\n")
        files.log.write_text("EAL: a line like many others\n" * 1000)
    assert len(lab.status()) == 32
    ratio = median_ratio(lambda: _status(lab), import_click, results.times(5))
    results.add("sppr status of 32 parts / import click", ratio)


def main() -> int:
    results = Results(__doc__)
    with tempfile.TemporaryDirectory(prefix="sppr-bench-", ignore_cleanup_errors=True) as top:

        def new(name: str) -> Path:
            folder = Path(top) / name
            folder.mkdir()
            return folder

        return results.run(
            {
                "bring-up": lambda: bring_up(results, new("lab")),
                "windows": lambda: windows(results, Path(top)),
                "instance": lambda: instances(results, new("img")),
                "help": lambda: start(results),
                "up-again": lambda: up_again(results, new("again")),
                "status-32": lambda: status_of_32(results, new("status")),
            }
        )


if __name__ == "__main__":
    sys.exit(main())
