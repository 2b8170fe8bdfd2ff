"""Labs over several hosts: the plan of a large one, and the time to proved chains over two and three hosts.

For the time, each host is in namespaces of this machine, and one host is measured with the commands of one host. All
hosts share the cores of this machine, so the figure is an upper limit for machines of their own.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import large_hosts  # noqa: E402
from tests.bench_results import Results  # noqa: E402
from tests.live.dataplane_lab import prepare_hugepages  # noqa: E402
from tests.live.hosts import Machines, machines  # noqa: E402

NAMES = ("east", "west", "north")


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


def conf(found: Machines, names: tuple[str, ...]) -> str:
    """Return a conf.yml with a secondary on each host, and a chain from each host to the next."""
    pairs = list(pairwise(names))
    lines = ["session: bench", "primary: {memory: 128}", "hosts:"]
    lines += [f"  {name}: {found.inventory_words(name)}" for name in names]
    lines += ["links:", *(f"  - {{between: [{a}, {b}]}}" for a, b in pairs)]
    lines += ["secondaries:", *(f"  - {{id: 1, coremask: 0x0C, host: {name}}}" for name in names), "chains:"]
    lines += [f"  c{n}: {{path: [{a}/tap:0, {b}/tap:1]}}" for n, (a, b) in enumerate(pairs)]
    return "\n".join(lines) + "\n"


def over_hosts(found: Machines, names: tuple[str, ...], folder: Path) -> float:
    """Bring the lab up, prove all chains, and return the seconds that both took."""
    (folder / "conf.yml").write_text(conf(found, names))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "ANSIBLE_HOME": str(folder / "ansible"),
           "SPPR_RUN_DIR": str(folder / "run")}  # fmt: skip

    def sppr(*words: str) -> None:
        argv = found.command(sys.executable, "-m", "sppr", *words)
        subprocess.run(argv, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)

    began = time.perf_counter()
    sppr("up", "--detach")
    sppr("chain", "prove", "--all")
    seconds = time.perf_counter() - began
    sppr("down")
    return seconds


def on_one_host(found: Machines) -> float:
    """Bring a lab up on a machine with the commands of one host, prove its chain, and return the seconds."""
    text = "session: bench\nprimary: {memory: 128}\nsecondaries: [{id: 1, coremask: 0x0C}]\n"
    text += "chains: {c0: {path: [tap:0, tap:1]}}\n"
    east = found.all["east"]
    east.run("sh", "-c", 'mkdir -p /tmp/one && printf %s "$1" > /tmp/one/conf.yml', "write", text)
    words = ["env", "-i", "-C", "/tmp/one", f"PATH={os.defpath}", "HOME=/root", sys.executable, "-m", "sppr"]
    began = time.perf_counter()
    east.run(*words, "up", "--detach", "--prove", "-nr", "0", "-nv", "0")
    seconds = time.perf_counter() - began
    east.run(*words, "down")
    return seconds


def hosts(results: Results) -> None:
    prepare_hugepages()
    times: dict[int, list[float]] = {1: [], 2: [], 3: []}
    with tempfile.TemporaryDirectory(prefix="sppr-bench-hosts-") as name:
        folder = Path(name)
        with machines(folder, *NAMES) as found:
            for _ in range(results.times(3)):
                times[1].append(on_one_host(found))
                times[2].append(over_hosts(found, NAMES[:2], folder))
                if not results.smoke:
                    times[3].append(over_hosts(found, NAMES, folder))
    medians = {count: statistics.median(kept) for count, kept in times.items() if kept}
    for count, seconds in medians.items():
        results.add(f"time to proved chains over {count} host{'s' * (count > 1)}, s", seconds)
    for count in list(medians)[1:]:
        results.add(f"proved chains over {count} hosts / over one", medians[count] / medians[1])


def main() -> int:
    results = Results(__doc__)
    return results.run({"plan": lambda: large_plan(results), "hosts": lambda: hosts(results)})


if __name__ == "__main__":
    sys.exit(main())
