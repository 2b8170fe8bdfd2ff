"""The holder of a session lock is reported by name, even before it has written its name."""

import fcntl
import os
import subprocess
import threading
import time

import pytest

from sppr.errors import SpprError
from sppr.host.run_directory import make_private, sessions_dir
from sppr.lab.state import state


@pytest.mark.parametrize("stale", [True, False])
def test_new_holder_of_a_lock_is_named(stale: bool) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    make_private(sessions_dir())
    with (sessions_dir() / "lab.lock").open("a+") as f:
        f.write(f"wakeup.py (pid {gone.pid}, since 00:00:00)\n" if stale else "")
        f.flush()
        fcntl.flock(f, fcntl.LOCK_EX)

        def name() -> None:
            time.sleep(0.2)
            f.truncate(0)
            f.write(f"down (pid {os.getpid()}, since 00:00:01)\n")
            f.flush()

        naming = threading.Thread(target=name)
        naming.start()
        with (
            pytest.raises(SpprError, match=rf"in use by down \(pid {os.getpid()}, since 00:00:01\)"),
            state.locked("lab"),
        ):
            pass
        naming.join()
