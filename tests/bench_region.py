"""The shared region of a ring VM: frames a second from one host process to another.

The ratio is to the copies alone: the same bytes into and out of the same slots by one thread, with no index and no
second process. Producer and consumer are pinned to a core each. Figures are medians of five.
"""

import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.bench_results import Results  # noqa: E402

SOURCE = ROOT / "sppr" / "dataplane"
SIZES = (64, 1500)


def measure(results: Results, size: int) -> None:
    """Add the medians for frames of ``size`` bytes."""
    argv = [str(SOURCE / "build" / "region_peer"), "bench", str(size)]
    runs = [
        subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split() for _ in range(results.times(5))
    ]
    frames = statistics.median(float(run[0]) for run in runs)
    copies = statistics.median(float(run[1]) for run in runs)
    results.add(f"region, {size} bytes: frames a second", frames)
    results.add(f"region, {size} bytes / copies alone", frames / copies)


def region(results: Results) -> None:
    subprocess.run(["make", "-s", "-C", str(SOURCE), "tools"], check=True)
    for size in SIZES:
        measure(results, size)


def main() -> int:
    results = Results(__doc__)
    return results.run({"region": lambda: region(results)})


if __name__ == "__main__":
    sys.exit(main())
