"""Run every bench script and print one table of all figures. Exit status 1: a script failed, or a goal is missed.

With ``--smoke`` each script makes one short repetition, three scripts run side by side, and no figure is judged: this
shows that each bench can run.
"""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import bench_results  # noqa: E402

SCRIPTS: tuple[str, ...] = (
    "bench.py",
    "bench_region.py",
    "bench_controller.py",
    "bench_chains.py",
    "bench_vms.py",
    "bench_live.py",
    "bench_hosts.py",
    "bench_dataplane.py",
    "bench_components.py",
    "bench_ovs.py",
)
if os.environ.get("SPP_DIR"):
    SCRIPTS += ("bench_upstream.py",)
#: Scripts of a smoke run at a time.
SIDE_BY_SIDE = 3


def run(script: str, *, smoke: bool) -> bool:
    """Run a script, and return whether it succeeded. The output of a smoke run, beside which others run, is
    printed when it ends."""
    began = time.perf_counter()
    argv = [sys.executable, str(ROOT / "tests" / script), *(["--smoke"] if smoke else [])]
    if not smoke:
        print(f"== {script}", flush=True)
    # prepare_hugepages of tests/live/dataplane_lab.py reserves hugepages for so many processes.
    env = {**os.environ, "PYTEST_XDIST_WORKER_COUNT": str(SIDE_BY_SIDE if smoke else 1)}
    done = subprocess.run(
        argv, check=False, env=env, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if smoke else None, stderr=subprocess.STDOUT if smoke else None,
    )  # fmt: skip
    if smoke:
        print(f"== {script}\n{done.stdout}", end="")
    print(f"== {script}: {time.perf_counter() - began:.1f} s", flush=True)
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one short repetition of each; figures are not judged")
    smoke: bool = parser.parse_args().smoke
    bench_results.path(smoke=smoke).unlink(missing_ok=True)  # a figure of an earlier run must not count for this one
    with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE if smoke else 1) as pool:
        runs = zip(SCRIPTS, pool.map(lambda script: run(script, smoke=smoke), SCRIPTS), strict=True)
        failed = [script for script, succeeded in runs if not succeeded]
    figures = bench_results.load(smoke=smoke)
    lines, good = bench_results.table(figures, judge=not smoke)
    print("\n" + "\n".join(lines))
    if smoke:
        print("These are the figures of one short repetition. They are not judged.")
    for script in failed:
        print(f"error: tests/{script} failed; see its output above", file=sys.stderr)
    return int(bool(failed) or not good)


if __name__ == "__main__":
    sys.exit(main())
