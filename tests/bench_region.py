"""The region a ring VM is reached through: frames a second from one host process to another, in build/bench.json.

The ratio is to the copies alone: the same bytes into and out of the same slots by one thread, with no index and no
other process. Producer and consumer are pinned to a core each; medians of five.
"""

import json
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "sppr" / "dataplane"
SIZES = (64, 1500)


def measure(size: int, times: int = 5) -> dict[str, float]:
    """Medians for frames of ``size`` bytes."""
    argv = [str(SOURCE / "build" / "region_peer"), "bench", str(size)]
    runs = [subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split() for _ in range(times)]
    frames = statistics.median(float(run[0]) for run in runs)
    copies = statistics.median(float(run[1]) for run in runs)
    return {
        f"region, {size} bytes: frames a second": round(frames),
        f"region, {size} bytes / copies alone": round(frames / copies, 3),
    }


def main() -> None:
    subprocess.run(["make", "-s", "-C", str(SOURCE), "tools"], check=True)
    target = ROOT / "build" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    figures = json.loads(target.read_text()) if target.exists() else {}
    for size in SIZES:
        for name, value in measure(size).items():
            print(f"{name}: {value:g}", flush=True)
            figures[name] = value
    target.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
