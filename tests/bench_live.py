"""What the live views cost: ``sppr top``, the web page and a scrape of ``/metrics`` once a second.

- null -> null with all three, over without, as frames a second of CPU time, in turns.
- The CPU of ``sppr top`` in a terminal of 80 x 24, and of the controller, with 32 parts.
- The page in Chromium with 64 processes of 32 ports: the slowest frame, as the browser measures it.
- From SIGKILL of a secondary until its box on the page is red.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pexpect
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.bench_results import Results  # noqa: E402
from tests.live import fakes, labs  # noqa: E402
from tests.live.controller.browser import chromium, opened  # noqa: E402
from tests.live.controller.test_controller import until  # noqa: E402
from tests.live.labs import Lab  # noqa: E402

SECONDS = 4.0
PARTS = 32
MANY = (64, 32)
#: Milliseconds between the frames of the browser while samples arrive, without the first seconds.
FRAMES = """async (seconds) => {
  const gaps = [];
  let last = performance.now();
  const end = last + seconds * 1000;
  while (last < end) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    gaps.push(now - last);
    last = now;
  }
  return gaps;
}"""


@contextmanager
def views(lab: Lab) -> Iterator[None]:
    """Run ``sppr top``, the stream of the page, and a scrape each second."""
    stop = threading.Event()

    def scrape() -> None:
        while not stop.wait(1.0):
            urllib.request.urlopen(f"http://127.0.0.1:{lab.rest}/metrics", timeout=10).read()

    def stream() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{lab.rest}/v1/live/stream", timeout=10) as events:
            while not stop.is_set():
                events.readline()

    threads = [threading.Thread(target=target, daemon=True) for target in (scrape, stream)]
    with top(lab):
        for thread in threads:
            thread.start()
        yield
        stop.set()
        for thread in threads:
            thread.join(10)


@contextmanager
def top(lab: Lab) -> Iterator[psutil.Process]:
    """Run ``sppr top`` in a terminal of 80 x 24, and read what it draws."""
    argv = ["-m", "sppr", "top", "--session", lab.session]
    child = pexpect.spawn(
        sys.executable, argv, dimensions=(24, 80), env={**lab.env, "TERM": "xterm-256color"}, cwd=str(lab.folder)
    )
    done = threading.Event()

    def drain() -> None:
        while not done.is_set():
            try:
                child.read_nonblocking(65536, timeout=0.2)
            except pexpect.TIMEOUT:
                continue
            except (pexpect.EOF, OSError):
                return

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    try:
        yield psutil.Process(child.pid)
    finally:
        child.terminate(force=True)
        done.set()
        reader.join(5)


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def share(process: psutil.Process, seconds: float) -> float:
    """Return the CPU that a process uses, in % of a core."""
    before, began = cpu(process), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu(process) - before) / (time.monotonic() - began)


def forwarding(results: Results) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        labs.running(Path(folder), "benchlive", None, "-ns", "1", "-nr", "0", "-nv", "0") as lab,
    ):
        client = lab.control
        for port in ("nullpmd:0", "nullpmd:1"):
            client.add_port("nfv:1", port)
        client.patch("nfv:1", "nullpmd:0", "nullpmd:1")
        client.patch("nfv:1", "nullpmd:1", "nullpmd:0")
        client.forward("nfv:1")
        process = psutil.Process(lab.status()["sec1"]["pid"])

        def frames() -> int:
            return sum(int(row["tx"]) for row in client.status("nfv:1")["counters"])

        def rate() -> float:
            time.sleep(0.5)
            before, used = frames(), cpu(process)
            time.sleep(SECONDS if not results.smoke else 0.5)
            return (frames() - before) / (cpu(process) - used)

        ratios = []
        for _ in range(results.times(7)):
            without = rate()
            with views(lab):
                time.sleep(1.0)
                seen = rate()
            ratios.append(seen / ((without + rate()) / 2))
        results.add("null -> null with top, the page and a scrape each second over without", statistics.median(ratios))


def cost_of_top(results: Results) -> None:
    count, seconds = (PARTS - 2, 20.0) if not results.smoke else (2, 2.0)
    with tempfile.TemporaryDirectory() as folder, labs.private(Path(folder), "benchtop", None) as lab:
        rows = "".join(f"  - {{id: {n}, coremask: {3 << 2 * n:#x}}}\n" for n in range(1, count + 1))
        before, _, after = lab.conf.read_text().partition("secondaries:\n")
        rest = after[after.index("vm: {") :]
        lab.conf.write_text(f"{before}secondaries:\n{rows}{rest}")
        done = lab.wakeup("-ns", str(count), "-nr", "0", "-nv", "0")
        assert done.returncode == 0, done.stdout + done.stderr
        controller = psutil.Process(lab.status()["ctrler"]["pid"])
        results.add("controller without a view, % of a core", share(controller, seconds / 2))
        with top(lab) as process:
            time.sleep(4.0)
            used, began = [cpu(process), cpu(controller)], time.monotonic()
            time.sleep(seconds)
            shares = [
                100 * (cpu(p) - u) / (time.monotonic() - began)
                for p, u in zip((process, controller), used, strict=True)
            ]
        results.add("sppr top of 32 parts, % of a core", shares[0])
        results.add("controller while sppr top shows 32 parts, % of a core", shares[1])


def page(results: Results) -> None:
    count, ports = MANY if not results.smoke else (4, 8)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = stack.enter_context(fakes.lab(folder))
        words = ["-s", f"127.0.0.1:{running.controller.sec_port}", "-n", str(count), "-p", str(ports)]
        many = subprocess.Popen([sys.executable, "-m", "tests.fakes.many", *words], cwd=ROOT)
        stack.callback(many.wait)
        stack.callback(many.kill)
        until(lambda: len(running.rest("GET", "/processes")[1]) == count, "all secondaries")
        browser = stack.enter_context(chromium())
        shown = stack.enter_context(opened(browser, f"http://127.0.0.1:{running.rest_port}/"))
        shown.wait_for_function(f"document.querySelectorAll('.jack').length === {count * ports}")
        time.sleep(3.0)
        gaps = sorted(shown.evaluate(FRAMES, 2 if results.smoke else 8))
        results.add("page with 64 processes of 32 ports, slowest frame, ms", gaps[-1])
        results.add("page with 64 processes of 32 ports, median frame, ms", gaps[len(gaps) // 2])


def red(results: Results) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        lab = stack.enter_context(labs.running(folder, "benchred", None, "-ns", "1", "-nr", "0", "-nv", "0"))
        browser = stack.enter_context(chromium())
        shown = stack.enter_context(opened(browser, f"http://127.0.0.1:{lab.rest}/"))
        shown.locator('[data-process="nfv:1"] .jack').first.wait_for()
        times = []
        for _ in range(results.times(5)):
            began = time.monotonic()
            os.kill(lab.status()["sec1"]["pid"], signal.SIGKILL)
            shown.locator('[data-process="nfv:1"].bad').wait_for()
            times.append(time.monotonic() - began)
            assert lab.sppr("start", "sec1").returncode == 0
            shown.locator('[data-process="nfv:1"].bad').wait_for(state="detached")
        results.add("from SIGKILL of a secondary until its box is red, s", statistics.median(times))


def main() -> int:
    results = Results(__doc__)
    parts = {"forwarding": forwarding, "top": cost_of_top, "page": page, "red": red}
    return results.run({name: lambda run=run: run(results) for name, run in parts.items()})  # type: ignore[misc]


if __name__ == "__main__":
    sys.exit(main())
