"""The serial console of a guest, tested with shell scripts that behave as a guest."""

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sppr.deadline import Deadline
from sppr.errors import LaunchError, NotReady
from sppr.qemu import serial
from sppr.qemu.serial import LoginRequired, Serial

GuestOf = Callable[[str], Serial]


@pytest.fixture
def guest(tmp_path: Path) -> GuestOf:
    def make(script: str) -> Serial:
        return Serial(["/bin/sh", "-c", script], tmp_path / "log")

    return make


SHELL = "echo booting; exec env -i PS1='root@vm:~# ' PATH=$PATH HOME=/ /bin/sh -i 2>&1"


def test_commands_run_in_order_and_return_their_output(guest: GuestOf) -> None:
    with guest(SHELL) as vm:
        vm.wait_shell(Deadline(20))
        assert vm.run("echo one; echo two", Deadline(20)).endswith("one\ntwo")
        assert vm.run("true", Deadline(20)).endswith("")


def test_failing_command_is_reported_with_its_output(guest: GuestOf) -> None:
    with guest(SHELL) as vm:
        vm.wait_shell(Deadline(20))
        with pytest.raises(LaunchError, match=r"(?s)sh -c .*: exited with status 7.*last: .*no luck\n"):
            vm.run("sh -c 'echo no luck; exit 7'", Deadline(20))


def test_kernel_panic_ends_the_wait_at_once(guest: GuestOf) -> None:
    deadline = Deadline(20)
    message = r"(?s)Kernel panic - not syncing: VFS.*waited for a root shell"
    panics = "echo; echo 'Kernel panic - not syncing: VFS'; sleep 60"
    with guest(panics) as vm, pytest.raises(LaunchError, match=message):
        vm.wait_shell(deadline)
    assert deadline.elapsed() < 15


def test_exit_after_sigkill_is_awaited(guest: GuestOf) -> None:
    """pexpect checks once, 0.1 s after SIGKILL. Here the guest still runs at that check, as on a loaded machine."""
    with guest("sleep 60") as vm:
        child, dead = vm._guest.ptyproc, Deadline(1.5)
        is_alive = child.isalive
        child.isalive = lambda: not dead.expired() or is_alive()
    assert dead.expired() and not psutil.pid_exists(child.pid)


def test_guest_dies_of_sighup_under_nohup(guest: GuestOf) -> None:
    """The kernel sends SIGHUP to QEMU when sppr is killed."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with guest(SHELL) as vm:
            vm.wait_shell(Deadline(20))
            ignored = vm.run("sed -n 's/^SigIgn:\t*//p' /proc/$$/status", Deadline(20))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert int(ignored.split()[-1], 16) & 1 == 0


def test_exit_and_silence_have_different_messages(guest: GuestOf) -> None:
    with guest("echo gone") as vm, pytest.raises(LaunchError, match=r"(?s)QEMU exited.*last: gone"):
        vm.wait_shell(Deadline(20))
    with guest("echo hm; sleep 60") as vm, pytest.raises(NotReady, match=r"(?s)waited 1 s for a root shell.*last: hm"):
        vm.wait_shell(Deadline(1))


def test_login_prompt_is_a_shell_only_with_automatic_login(guest: GuestOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial, "_AUTOLOGIN", 0.5)
    with guest("printf 'vm login: '; sleep 60") as vm, pytest.raises(LoginRequired):
        vm.wait_shell(Deadline(20))
    with guest("printf 'vm login: '; sleep 0.2; printf 'root (automatic login)\\n\\nroot@vm:~# '; sleep 60") as vm:
        vm.wait_shell(Deadline(20))
