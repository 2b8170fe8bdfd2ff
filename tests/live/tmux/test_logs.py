"""``sppr logs`` of a part that exited, over restarts, and of a part with a very large output."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from sppr import rotation
from tests.live import labs
from tests.live.dataplane_lab import wait_for
from tests.live.lab.test_faults import SMALL, fake_tree
from tests.live.labs import Lab, run_again

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]
#: Prints the number of its run, 30 MiB and a last line, then exits, as a part that cannot start.
CHATTERBOX = """\
run=$(($(cat {count} 2>/dev/null || echo 0) + 1)); echo $run >{count}
echo "run $run begins"
[ $run -gt 1 ] || yes 0123456789abcdef | head -c 31457280
echo "run $run ends"; exit 7"""


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = labs.make(tmp_path_factory.mktemp("lab"), "loglab8", None)
    fake_tree(made, CHATTERBOX.format(count=made.folder / "count"))
    try:
        yield made
    finally:
        made.end()


def follow(lab: Lab, name: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "sppr", "logs", "-f", name, "--session", lab.session]
    with (lab.folder / "followed").open("wb") as out:
        return subprocess.Popen(command, env=lab.env, cwd=lab.folder, stdout=out, stderr=subprocess.PIPE)


def test_large_log_is_bounded_and_followed_over_restarts(lab: Lab) -> None:
    done = lab.wakeup(*SMALL)
    assert done.returncode == 4 and "pri: exited with status 7" in done.stderr
    wait_for("the log", lambda: "run 1 ends" in lab.sppr("logs", "pri", "--session", lab.session).stdout)
    assert sum(p.stat().st_size for p in lab.state.glob("pri.log*")) <= rotation.PIECES * rotation.PIECE_BYTES
    gone = lab.sppr("logs", "pri", "--session", lab.session)
    assert gone.returncode == 0 and "the first bytes are gone" in gone.stderr and "run 1 begins" not in gone.stdout
    assert len(gone.stdout) > (rotation.PIECES - 1) * rotation.PIECE_BYTES
    whole = lab.sppr("logs", "ctrler", "--session", lab.session)
    assert whole.stderr == "" and whole.stdout.startswith("[ctrler waits for")

    follower = follow(lab, "pri")
    followed = lab.folder / "followed"
    wait_for("what was printed before", lambda: b"run 1 ends" in followed.read_bytes()[-4000:])
    run_again(lab, lab.status()["pri"]["pane"], "primary.py")
    wait_for("the second run", lambda: b"run 2 ends" in followed.read_bytes()[-4000:])
    assert follower.poll() is None
    assert lab.down().returncode == 0
    assert follower.wait(20) == 0, "the session is down"
    assert lab.leftovers() == []


def test_output_to_a_pipe_is_plain_and_raw_keeps_escapes(lab: Lab) -> None:
    lab.wakeup(*SMALL)
    pane = lab.status()["ctrler"]["pane"]
    wait_for("the prompt", lambda: "spp >" in lab.tmux("capture-pane", "-p", "-t", pane))
    follower = follow(lab, "ctrler")
    lab.tmux("send-keys", "-t", pane, "statsu", "BSpace", "BSpace", "us", "Enter")
    words = ("logs", "ctrler", "--session", lab.session)
    wait_for("its answer", lambda: "- controller:" in lab.sppr(*words).stdout)
    message = lab.sppr(*words).stdout
    assert "\x1b" not in message and "\r" not in message and "\nspp > status\n- controller:\n" in message, message
    assert "\x1b[" in lab.sppr(*words, "--raw").stdout
    followed = lab.folder / "followed"
    wait_for("what follows", lambda: b"\nspp > status\n- controller:\n" in followed.read_bytes())
    assert b"\x1b" not in followed.read_bytes()
    follower.kill()
    follower.wait()


def test_ctrl_c_ends_following(lab: Lab) -> None:
    lab.wakeup(*SMALL)
    follower = follow(lab, "ctrler")
    wait_for("its first line", lambda: b"ctrler waits for" in (lab.folder / "followed").read_bytes())
    follower.send_signal(signal.SIGINT)
    _, printed = follower.communicate(timeout=20)
    assert follower.returncode == 130 and b"Traceback" not in printed
