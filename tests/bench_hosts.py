"""A lab over several hosts: the plan of a large one, as a user sees it, with the start of Python."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import large_hosts  # noqa: E402
from tests.bench_results import Results  # noqa: E402

NAME = f"sppr plan, {large_hosts.HOSTS} hosts, {large_hosts.VMS:,} VMs, {large_hosts.CHAINS:,} chains"


def plan(conf: Path) -> tuple[float, float]:
    """Return the seconds and the peak memory in MiB of ``sppr plan``."""
    began = time.perf_counter()
    argv = [sys.executable, "-m", "sppr", "plan", "--conf", str(conf)]
    process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def large_plan(results: Results) -> None:
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder) / "conf.yml"
        conf.write_text(large_hosts.conf())
        runs = [plan(conf) for _ in range(results.times(5))]
    results.add(f"{NAME}, s", statistics.median(seconds for seconds, _ in runs))
    results.add(f"{NAME}, MiB", max(memory for _, memory in runs))


if __name__ == "__main__":
    given = Results(__doc__)
    sys.exit(given.run({"plan": lambda: large_plan(given)}))
