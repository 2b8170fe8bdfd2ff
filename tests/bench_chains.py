"""Service chains: planning 1,000 of them, applying and showing 16, proving one.

The planner is measured alone, the others as a user sees them: a whole command with the start of Python.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sppr.config.chains import ports_needed  # noqa: E402
from sppr.config.model import Chain, Config, VmVhost  # noqa: E402
from sppr.images.base_cache import ensure_base  # noqa: E402
from sppr.images.build import BASE_NAME  # noqa: E402
from sppr.lab.chains.planner import chains  # noqa: E402
from sppr.parts.part import Part  # noqa: E402
from tests.bench_results import Results  # noqa: E402
from tests.live import labs  # noqa: E402

#: VMs, VMs of a secondary, chains.
VMS, EACH, CHAINS = 200, 5, 1000


def planner(results: Results) -> None:
    """Plan chains of two VMs of one secondary. The ids above 127 are valid only here, not in conf.yml."""
    secondaries = VMS // EACH

    def path(n: int) -> tuple[str, ...]:
        first = n % secondaries * EACH + n // secondaries % (EACH - 1)
        return f"tap:{n}", f"vm_v{first}", f"vm_v{first + 1}", f"nullpmd:{n}"

    vms = tuple(VmVhost.model_construct(id=n, secondary=None, vhosts=None) for n in range(VMS))
    named = {f"c{n}": Chain(path=path(n)) for n in range(CHAINS)}
    config = Config().model_copy(update={"vms_vhost": vms, "chains": named})

    def plan() -> float:
        began = time.perf_counter()
        needed = ports_needed(config)
        parts = [Part("ctrler", "controller", None, "c", (), ()), Part("pri", "primary", None, "p", (), ())]
        parts += [Part(f"sec{n}", "secondary", n, "s", (), (), kind="nfv") for n in range(secondaries)]
        for n in range(VMS):
            ports = tuple(f"vhost:{n}.{i}" for i in range(needed.get(f"vm_v{n}", 1)))
            parts.append(Part(f"vm_v{n}", "vm_vhost", n, "v", (), (), server=f"nfv:{n // EACH}", ports=ports))
        assert len(chains(config, parts).chains) == CHAINS
        return time.perf_counter() - began

    results.add("planner, 1,000 chains over 200 VMs, s", statistics.median(plan() for _ in range(results.times(5))))


@contextmanager
def lab(name: str, extra: str, *flags: str, base: Path | None = None) -> Iterator[labs.Lab]:
    with tempfile.TemporaryDirectory() as folder, labs.chain_lab(Path(folder), name, base, extra, *flags) as (made, _):
        yield made


def timed(made: labs.Lab, *words: str) -> float:
    began = time.perf_counter()
    done = made.sppr(*words)
    seconds = time.perf_counter() - began
    assert done.returncode == 0, done.stdout + done.stderr
    return seconds


def sixteen(results: Results) -> None:
    """16 chains over two secondaries, patched both ways: 64 ports, 64 patches."""
    text = "".join(f"  c{n}: {{path: [nullpmd:{2 * n}, nullpmd:{2 * n + 1}]}}\n" for n in range(16))
    with lab("benchlab1", "", "-ns", "2", "-nr", "0", "-nv", "0") as made:
        plain = made.conf.read_text()
        applied: list[float] = []
        shown: list[float] = []
        for _ in range(results.times(5)):
            made.conf.write_text(f"{plain}chains:\n{text}")
            applied.append(timed(made, "chain", "apply"))
            for n in (1, 2):  # null ports make frames as fast as they are read, so stop them to free the machine
                made.control.stop(f"nfv:{n}")
            began = time.perf_counter()
            made.sppr("chain")
            shown.append(time.perf_counter() - began)
            made.conf.write_text(plain)
            assert made.wakeup("-ns", "2", "-nr", "0", "-nv", "0").returncode == 0
    results.add("sppr chain apply, 16 chains, s", statistics.median(applied))
    results.add("sppr chain, 16 chains, s", statistics.median(shown))


def proof(results: Results) -> None:
    """A chain through a ring VM and a vhost VM, at level 2: 10,000 frames each way."""
    base = ensure_base(ROOT / "runscripts" / BASE_NAME, report=print)
    extra = "chains: {web: {path: [tap:0, vm_r6, vm_v11, tap:1]}}\n"
    with lab("benchlab2", extra, "-ns", "2", "-nr", "1", "-nv", "1", base=base) as made:
        took = [timed(made, "chain", "prove", "web") for _ in range(results.times(5))]
    results.add("sppr chain prove of one chain at level 2, s", statistics.median(took))


if __name__ == "__main__":
    given = Results(__doc__)
    sys.exit(
        given.run({"planner": lambda: planner(given), "16": lambda: sixteen(given), "prove": lambda: proof(given)})
    )
