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
def lab() -> Iterator[Lab]:
    """A lab that has in conf.yml as many parts as the largest needs. Each secondary has two lcores of its own."""
    base = ensure_base(ROOT / "runscripts" / BASE_NAME, report=print)
    secondaries, rings, vhosts = SIZES[-1]
    with tempfile.TemporaryDirectory() as folder, labs.private(Path(folder), "benchvms", base) as made:
        text = made.conf.read_text()
        listed = {
            "secondaries": [f"{{id: {n}, coremask: 0x{3 << 2 * n:x}}}" for n in range(1, secondaries + 1)],
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


def resume(results: Results, made: Lab) -> None:
    """The time from the start of a VM until its spp_vm is connected."""
    counts = (1,) if results.smoke else (1, 4)
    up(made, 1, counts[-1], 0)
    taken: dict[tuple[str, int], float] = {}
    for how in ("boot", "warm"):
        start(made, how)
        for count in counts[::-1]:
            if count < counts[-1]:
                stop(made, count, counts[-1])
            taken[how, count] = statistics.median(ready(made, count) for _ in range(results.times(5)))
    down(made)
    results.add("one VM, resume, s", taken["warm", 1])
    for count in counts:
        name = "one VM" if count == 1 else "four VMs at once"
        results.add(f"{name}, resume / boot", taken["warm", count] / taken["boot", count])


def stop(made: Lab, first: int, last: int) -> None:
    """Stop the ring VMs after the first ``first`` ones."""
    done = made.sppr("stop", *(f"vm_r{n}" for n in range(40 + first, 40 + last)))
    assert done.returncode == 0, done.stdout + done.stderr


def usual(results: Results, made: Lab) -> None:
    """``wakeup -ns 2 -nr 1 -nv 1`` on a prepared machine."""
    if not results.smoke:  # prepare it
        up(made, 2, 1, 1)
        down(made)
    seconds = []
    for number in range(results.times(3)):
        if number:
            down(made)
        seconds.append(timed(lambda: up(made, 2, 1, 1)))
    down(made)
    results.add("wakeup -ns 2 -nr 1 -nv 1, prepared, s", statistics.median(seconds))


def memory(results: Results, made: Lab) -> None:
    """The memory of a further VM that does nothing."""
    more = results.times(3)
    up(made, 1, 1, 0)
    time.sleep(results.times(10))
    one = used(made)
    up(made, 1, 1 + more, 0)
    time.sleep(results.times(10))
    results.add("memory of a further idle VM, MiB", (used(made) - one) / more)
    down(made)


def used(made: Lab) -> float:
    """Return the memory of all VMs of a lab in MiB: their pages, and those of a memfd that is not mapped. A page that
    several processes have mapped counts once (Pss)."""
    kib = 0.0
    for name, row in made.status().items():
        if name.startswith("vm_"):
            text = Path(f"/proc/{row['pid']}/smaps_rollup").read_text()
            sizes = {key: int(value) for key, value in re.findall(r"^(\w+): +(\d+) kB", text, re.MULTILINE)}
            links = Path(f"/proc/{row['pid']}/fd").iterdir()
            memory_file = next((link for link in links if "memfd:guest" in str(link.readlink())), None)
            shared = memory_file.stat().st_blocks / 2 if memory_file is not None else 0
            kib += sizes["Pss_Anon"] + sizes["Pss_File"] + max(shared, sizes["Pss_Shmem"])
    return kib / 1024


def scale(results: Results, made: Lab) -> None:
    """Labs of growing size, the largest with 34 parts."""
    sizes = ((1, 1, 1),) if results.smoke else SIZES
    if not results.smoke:  # prepare it
        up(made, *sizes[-1])
        down(made)
    seconds = []
    for size in sizes:
        seconds.append(timed(lambda size=size: up(made, *size)))
        shown = statistics.median(timed(made.status) for _ in range(results.times(5)))
        ended = timed(lambda: down(made))
    results.add("wakeup -ns 16 -nr 8 -nv 8, s", seconds[-1])
    results.add("sppr status of the largest lab, s", shown)
    results.add("sppr down of the largest lab, s", ended)
    if not results.smoke:
        first, second = (seconds[1] - seconds[0]) / 8, (seconds[2] - seconds[1]) / 16
        results.add("time per added part, 16 to 32 parts / 8 to 16 parts", second / first)


if __name__ == "__main__":
    given = Results(__doc__)
    benches = {"resume": resume, "usual": usual, "memory": memory, "scale": scale}
    with lab() as prepared:
        status = given.run({name: lambda bench=bench: bench(given, prepared) for name, bench in benches.items()})
    sys.exit(status)
