"""VMs: resume over boot, the bring-up of a usual lab, the memory of idle VMs, and a lab of 34 parts.

All times are those of a prepared machine: templates, instances and the saved state exist.
"""

import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sppr.images.base_cache import ensure_base  # noqa: E402
from sppr.images.build import BASE_NAME  # noqa: E402
from tests.bench_results import Results  # noqa: E402
from tests.live import labs  # noqa: E402
from tests.live.labs import Lab  # noqa: E402

#: Secondaries, ring VMs and vhost VMs of labs of growing size.
SIZES = ((4, 2, 2), (8, 4, 4), (16, 8, 8))


@contextmanager
def lab(name: str, secondaries: int, rings: int, vhosts: int) -> Iterator[Lab]:
    """A lab with as many parts in conf.yml. Secondaries share two cores."""
    base = ensure_base(ROOT / "runscripts" / BASE_NAME, report=print)
    with tempfile.TemporaryDirectory() as folder, labs.private(Path(folder), name, base) as made:
        text = made.conf.read_text()
        listed = {
            "secondaries": [f"{{id: {n}, coremask: 0x03}}" for n in range(1, secondaries + 1)],
            "vms_ring": [f"{{id: {n}}}" for n in range(40, 40 + rings)],
            "vms_vhost": [f"{{id: {n}}}" for n in range(60, 60 + vhosts)],
        }
        for key, entries in listed.items():
            text = re.sub(rf"^{key}:.*\n(  - .*\n)*", f"{key}: [{', '.join(entries)}]\n", text, flags=re.MULTILINE)
        made.conf.write_text(text)
        yield made


def timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def up(made: Lab, secondaries: int, rings: int, vhosts: int) -> None:
    """Bring the lab up with as many parts."""
    flags = ("-ns", str(secondaries), "-nr", str(rings), "-nv", str(vhosts))
    done = made.wakeup(*flags, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr


def down(made: Lab) -> None:
    done = made.down()
    assert done.returncode == 0 and made.leftovers() == [], done.stdout + done.stderr


def start(made: Lab, how: str) -> None:
    """Set how the VMs start from now on."""
    text = re.sub(r"vm: \{(start: \w+, )?", f"vm: {{start: {how}, ", made.conf.read_text())
    made.conf.write_text(text)


def ready(made: Lab, count: int) -> float:
    """Restart ``count`` ring VMs at once, and return the seconds until the last one's spp_vm was connected."""
    names = [f"vm_r{n}" for n in range(40, 40 + count)]
    done = made.sppr("restart", *names, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    seconds = json.loads((made.state / "state.json").read_text())["ready"]
    return max(float(seconds[name]) for name in names)


def resume(results: Results) -> None:
    """The time from the start of a VM until its spp_vm is connected."""
    with lab("benchvms1", 1, 4, 0) as made:
        up(made, 1, 4, 0)
        taken: dict[tuple[str, int], float] = {}
        for how in ("boot", "warm"):
            start(made, how)
            for count in (1, 4):
                if count == 1:
                    made.sppr("stop", *(f"vm_r{n}" for n in range(41, 44)))
                taken[how, count] = statistics.median(ready(made, count) for _ in range(results.times(5)))
        results.add("one VM, resume, s", taken["warm", 1])
        results.add("one VM, resume / boot", taken["warm", 1] / taken["boot", 1])
        results.add("four VMs at once, resume / boot", taken["warm", 4] / taken["boot", 4])


def usual(results: Results) -> None:
    """``wakeup -ns 2 -nr 1 -nv 1`` on a prepared machine."""
    with lab("benchvms2", 2, 1, 1) as made:
        up(made, 2, 1, 1)
        seconds = []
        for _ in range(results.times(3)):
            down(made)
            seconds.append(timed(lambda: up(made, 2, 1, 1)))
        results.add("wakeup -ns 2 -nr 1 -nv 1, prepared, s", statistics.median(seconds))


def memory(results: Results) -> None:
    """The memory of a further VM that does nothing: its private pages, and its share of those that VMs share."""
    with lab("benchvms3", 1, 4, 0) as made:
        up(made, 1, 1, 0)
        time.sleep(results.times(10))
        one = proportional(made)
        up(made, 1, 4, 0)
        time.sleep(results.times(10))
        results.add("memory of a further idle VM, MiB", (proportional(made) - one) / 3)


def proportional(made: Lab) -> float:
    """Return the memory of all VMs of a lab in MiB: the sum of their Pss."""
    pids = [row["pid"] for name, row in made.status().items() if name.startswith("vm_")]
    texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(re.search(r"^Pss: +(\d+)", text, re.MULTILINE)[1]) for text in texts) / 1024  # type: ignore[index]


def scale(results: Results) -> None:
    """Labs of growing size, the largest with 34 parts."""
    biggest = SIZES[0] if results.smoke else SIZES[-1]
    with lab("benchvms4", *biggest) as made:
        up(made, *biggest)
        down(made)
        seconds = {}
        for size in SIZES[:1] if results.smoke else SIZES:
            seconds[size] = timed(lambda size=size: up(made, *size))
            if size == biggest:
                shown = [timed(made.status) for _ in range(results.times(5))]
                results.add("sppr status of the largest lab, s", statistics.median(shown))
            ended = timed(lambda: down(made))
        results.add("sppr down of the largest lab, s", ended)
        results.add("wakeup -ns 16 -nr 8 -nv 8, s", seconds[biggest])
        if not results.smoke:
            small, middle, large = (seconds[size] for size in SIZES)
            results.add(
                "time per added part, 16 to 32 parts / 8 to 16 parts", (large - middle) / 16 / ((middle - small) / 8)
            )


if __name__ == "__main__":
    given = Results(__doc__)
    parts = {"resume": resume, "usual": usual, "memory": memory, "scale": scale}
    sys.exit(given.run({name: lambda bench=bench: bench(given) for name, bench in parts.items()}))
