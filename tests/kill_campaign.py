"""``make kill-campaign``: kill the launcher at a random moment of bring-up, and check that the next run recovers.

A round: ``wakeup`` is killed by SIGKILL, the next ``wakeup`` must make every part ready, and ``down`` must leave
nothing. Every other round has another ``down`` in between. KILLS is the number of rounds (100). SEED repeats the same
moments. Run it beside ``stress-ng --cpu 8`` to see that time limits hold on a loaded machine.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.live import labs  # noqa: E402

FLAGS = ("-ns", "2", "-nr", "0", "-nv", "0")


def killed(lab: labs.Lab, after: float) -> bool:
    """Kill ``wakeup`` ``after`` so many seconds. Return whether it still ran."""
    launcher = subprocess.Popen(lab.wakeup_argv(*FLAGS), env=lab.env, cwd="/", stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        launcher.wait(after)
    except subprocess.TimeoutExpired:
        launcher.kill()
        launcher.wait()
        return True
    return False


def fault_of_down(lab: labs.Lab) -> str:
    done = lab.down()
    left = lab.leftovers()
    return done.stdout + done.stderr if done.returncode else f"down left: {left}" if left else ""


def fault_of_wakeup(lab: labs.Lab) -> str:
    done = lab.wakeup(*FLAGS, timeout=600)
    states = {name: row["state"] for name, row in lab.status().items()} if done.returncode == 0 else {}
    return "" if set(states.values()) == {"ready"} else f"{done.stdout}{done.stderr}{states}"


def main() -> int:
    rounds, seed = int(os.environ.get("KILLS", "100")), int(os.environ.get("SEED", str(time.time_ns() % 10**6)))
    moments = random.Random(seed)  # noqa: S311 - moments, not secrets
    print(f"{rounds} rounds, SEED={seed}", flush=True)
    good = done = 0
    with tempfile.TemporaryDirectory(prefix="sppr-kills-") as folder:
        lab = labs.make(Path(folder), "killcampaign", None)
        try:
            began = time.monotonic()
            fault = fault_of_wakeup(lab)
            whole = time.monotonic() - began
            if fault := fault or fault_of_down(lab):
                print(f"without a kill: {fault}", file=sys.stderr)
                return 1
            while done < rounds:
                after = moments.uniform(0, whole)
                was_killed = killed(lab, after)
                fault = (done % 2 and fault_of_down(lab)) or fault_of_wakeup(lab) or fault_of_down(lab)
                if not (was_killed or fault):
                    continue
                done, good = done + 1, good + (not fault)
                print(f"{done}: killed after {after:.2f} s: {fault or 'ready, and down left nothing'}", flush=True)
        finally:
            lab.end()
    print(f"{good} of {done}")
    return 0 if good == done else 1


if __name__ == "__main__":
    sys.exit(main())
