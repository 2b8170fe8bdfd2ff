"""Known failures of tmux-based launchers, T1 to T23. Each has a test, with its number.

All apply, some only in part, because this launcher does less than those that failed:
T1   no keys are typed into a pane; the test shows that no shell start-up file keeps a command from running.
T4   windows and panes are never targeted by name; session names are chosen by the user, and checked (tests/errors).
T16  libtmux's listing fails under LC_ALL=C and is not called; its separator is still pinned.
T17  hooks and run-shell are not used; tmux expands folders (-c) and the command of pipe-pane in the same way.

Each runs on Debian's tmux and on that of its backports. The user's ~/.tmux.conf and shell are always hostile.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import psutil
import pytest

from sppr.errors import HostError
from sppr.tmux.commands import PaneSpec
from sppr.tmux.windows import MIN_LINES, tiled_size
from tests.conftest import ROOT
from tests.live import labs
from tests.live.dataplane_lab import wait_for
from tests.live.lab.test_faults import fake_tree
from tests.live.labs import Lab
from tests.live.tmux import tmux_versions
from tests.live.tmux.tmux_bench import Bench, exited

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

#: Start-up files as seen in home directories of users, by effect.
START_UP = {
    "flushes": f"{sys.executable} -c 'import termios; termios.tcflush(0, termios.TCIFLUSH)'\n",
    "reads a key": "read -r -t 0.2 -n 1 _\n",
    "exits": "exit 3\n",
    "becomes another": "exec sleep 30\n",
    "prints": "for i in 1 2 3 4 5 6 7 8 9; do echo '\033[2J\033[H banner'; done\n",
    "traps": "trap 'exit 9' DEBUG; trap '' HUP INT TERM; trap 'exit 8' EXIT\n",
    "fails": "set -eu; false\n",
    "PROMPT_COMMAND": "PROMPT_COMMAND='kill -9 $$'\nPATH=/nowhere\n",
    "turns echo off": "stty -echo raw\n",
    "goes away": "cd /; unset HOME; umask 777; alias touch=false; touch() { false; }\n",
}


def test_versions_of_tmux_differ() -> None:
    assert (
        tmux_versions.version(tmux_versions.backport())
        != subprocess.run(["tmux", "-V"], capture_output=True, text=True, check=True).stdout.strip()
    )


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_t01_commands_run_despite_slow_start_up_files(
    bench: Bench, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 commands over ten hostile start-up files, of either shell: none is lost."""
    monkeypatch.setenv("SHELL", shutil.which(shell) or "")
    parts, windows = [], []
    for number, text in enumerate(START_UP.values()):
        home = bench.folder / f"home{number}"
        home.mkdir()
        for name in (".bashrc", ".zshrc", ".zshenv", ".profile"):
            (home / name).write_text(text)
        made = [bench.part("touch", str(bench.folder / f"ran{number}.{i}"), env={"HOME": str(home)}) for i in range(10)]
        windows.append(bench.window(f"w{number}", *made))
        parts += made
    bench.make("t01", *windows)
    bench.open(*parts)
    assert all(exited(files) for files in parts)
    assert len(list(bench.folder.glob("ran*"))) == len(parts) == 100


def test_t02_targets_work_with_base_index_1(bench: Bench) -> None:
    made = bench.build("t02", bench.part("sleep", "60"), bench.part("sleep", "60"))
    assert bench.cmd("list-windows", "-t", "=t02", "-F", "#{window_index}").split() == ["1", "2"], "the user's option"
    assert bench.panes("t02") == {p.pane: p.pid for p in made.values()} and len(made) == 2
    assert bench.cmd("list-panes", "-s", "-t", "=t02", "-F", "#{pane_title}").split() == list(made)


def test_t03_windows_keep_their_names(bench: Bench) -> None:
    files = bench.part("printf", r"\033kmine\033\\\033]2;title\007")
    made = bench.build("t03", files)
    assert exited(files)
    time.sleep(0.6)  # automatic-rename looks twice a second
    assert bench.cmd("list-windows", "-t", "=t03", "-F", "#{window_name}") == "part1\n"
    bench.cmd("rename-window", "-t", made["part1"].window, "by-hand")
    assert list(bench.panes("t03")) == [made["part1"].pane]
    assert bench.cmd("show-options", "-pv", "-t", made["part1"].pane, "@sppr_part") == "part1\n"


def test_t04_dots_colons_and_equal_names_are_not_ambiguous(bench: Bench) -> None:
    for name in ("a.b", "a:b"):
        done = subprocess.run(
            [sys.executable, "-m", "sppr", "up", "--session", name, "--dry-run"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2 and f"--session '{name}': cannot be used" in done.stderr, done.stderr
    first, second = bench.part("sleep", "60"), bench.part("sleep", "60")
    made = bench.make("t04", bench.window("vm.1", first), bench.window("vm.1", second))
    assert len({p.window for p in made.values()}) == 2 and set(bench.panes("t04")) == {p.pane for p in made.values()}


def test_t05_session_with_our_name_as_prefix_is_not_ours(bench: Bench) -> None:
    bench.build("t05x", bench.part("sleep", "60"))
    assert not bench.has("t05") and bench.panes("t05") == {}
    bench.tmux.kill_session("t05")
    assert bench.has("t05x")
    bench.build("t05", bench.part("sleep", "60"))
    bench.tmux.kill_session("t05")
    assert bench.has("t05x") and not bench.has("t05")


def test_t06_many_panes_fit_in_a_small_terminal(bench: Bench) -> None:
    """32 secondaries in a small terminal. Each window holds as many as stay usable, tiled as tmux tiles them."""
    parts = [bench.part("true") for _ in range(32)]
    made = bench.make("t06", bench.window("sec", *parts), size=(80, 24))
    assert len({p.pane for p in made.values()}) == 32
    names = bench.cmd("list-windows", "-t", "=t06", "-F", "#{window_name} #{window_panes}").splitlines()
    assert names == ["sec 9", "sec-2 9", "sec-3 9", "sec-4 5"]
    listed = bench.cmd("list-panes", "-t", "=t06:sec-2", "-F", "#{pane_width} #{pane_height}").splitlines()
    sizes = [tuple(map(int, line.split())) for line in listed]
    assert min(sizes) == tiled_size(9, (80, 24)) and min(lines for _, lines in sizes) >= MIN_LINES
    bench.open(*parts)
    assert all(exited(files) for files in parts)


def test_t07_session_is_not_nested_in_tmux(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same server the client is switched. In another server the command to attach is printed (test_terminal)."""
    bench.build("t07", bench.part("sleep", "60"))
    monkeypatch.setenv("TMUX", f"{bench.socket},1,0")
    assert bench.tmux.attach_argv("t07")[3:] == ["switch-client", "-t", "=t07"]
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/another,1,0")
    assert bench.tmux.attach_argv("t07")[3:] == ["attach", "-t", "=t07"] and bench.tmux.inside_another()


def test_t08_default_command_of_the_user_is_not_run_and_options_are_kept(bench: Bench) -> None:
    bench.cmd("new-session", "-d", "-s", "theirs", "cat")
    options = ("show-options", "-g"), ("show-options", "-gw"), ("show-options", "-s"), ("show-environment", "-g")
    before = [bench.cmd(*words) for words in options]
    files = bench.part("sh", "-c", "exit 5")
    shell = PaneSpec("w0", bench.folder, ("/bin/bash", "-i"))
    made = bench.make("t08", bench.window("one", files), bench.window("w0", shell))
    bench.open(files)
    assert exited(files, 5)
    names = [psutil.Process(p.pid).name() for p in made.values()]
    assert "cat" not in names and [bench.cmd(*words) for words in options] == before


def test_t09_environment_is_current_on_a_running_server(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTE_TARGET", "old")
    bench.cmd("new-session", "-d", "-s", "old", "cat")
    message, shell = bench.folder / "message", bench.folder / "shell"
    files = bench.part("sh", "-c", f"echo $RTE_TARGET >{message}", env={"RTE_TARGET": "new"})
    bench.tmux.env = {"RTE_TARGET": "new"}
    work = PaneSpec("w0", bench.folder, ("/bin/sh", "-c", f"echo $RTE_TARGET >{shell}; exec sleep 60"))
    bench.make("t09", bench.window("one", files), bench.window("w0", work))
    bench.open(files)
    assert exited(files) and message.read_text() == "new\n"
    assert wait_for("the shell", lambda: shell.exists() and shell.read_text()) == "new\n"


def test_t10_session_right_after_kill_server_is_created(bench: Bench) -> None:
    for _ in range(20):
        bench.cmd("new-session", "-d", "-s", "old", "cat")
        bench.cmd("kill-server")
        made = bench.make("t10", bench.window("one", PaneSpec("one", bench.folder, ("cat",))))
        assert list(made) == ["one"]
        bench.cmd("kill-server")


def test_t11_socket_files_of_ended_servers_are_removed(bench: Bench) -> None:
    """The server that --socket-name started ends with its last session, and its socket is removed."""
    bench.build("t11", bench.part("sleep", "60"))
    bench.build("other", bench.part("sleep", "60"))
    bench.tmux.kill_session("t11")
    assert bench.socket.is_socket() and bench.has("other"), "a server that has sessions keeps its socket"
    bench.tmux.kill_session("other")
    wait_for("the socket to go", lambda: not bench.socket.exists())


def test_t12_exit_status_is_kept_when_the_pane_closes(bench: Bench) -> None:
    home = Path(os.environ["HOME"])
    (home / ".bashrc").write_text("exit\n")
    files = bench.part("sh", "-c", "echo last words; exit 7")
    bench.build("t12", files)
    assert exited(files, 7)
    wait_for("the pane to close", lambda: bench.panes("t12") == {})
    wait_for("the log", lambda: "[part1 exited with status 7" in files.log.read_text())
    assert "last words" in files.log.read_text()


def test_t13_long_commands_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 kB of arguments; and 30 panes whose folder, PATH and HOME are long: a tmux message holds 16 KiB."""
    words = [f"{i:04}{'x' * 996}" for i in range(100)]
    long = bench.part("sh", "-c", 'echo "$#"', *words)
    deep = bench.folder / ("d" * 200)
    deep.mkdir()
    others = [bench.part("true", folder=deep) for _ in range(30)]
    bench.tmux.env = {"PATH": os.environ["PATH"] + ":/nowhere" * 200, "HOME": str(deep), "LANG": "C.UTF-8"}
    bench.build("t13", long, *others)
    assert exited(long) and all(exited(files) for files in others)
    wait_for("its output", lambda: "\n99\r\n" in long.log.read_bytes().decode())


def test_t14_log_has_output_beyond_the_scrollback(bench: Bench) -> None:
    """The log is complete, although tmux keeps 2000 lines."""
    files = bench.part("seq", "1", "20000")
    bench.build("t14", files)
    assert exited(files)
    wait_for("the log", lambda: b"\n20000\r\n" in files.log.read_bytes())
    lines = files.log.read_text().splitlines()
    assert [line for line in lines if line.isdigit()] == [str(n) for n in range(1, 20001)]


def test_t16_listing_works_in_the_c_locale(bench: Bench) -> None:
    """Runs in a separate process: libtmux reads its separator when it is imported."""
    program = (
        "from tests.live.tmux.test_tmux_failures import *; bench = Bench(Path('/'))\n"
        "made = bench.make('t16', bench.window('one', PaneSpec('one', Path('/'), ('cat',))))\n"
        "print(made['one'].pid in bench.panes('t16').values(), bench.has('t16'), len(bench.tmux._server.sessions))\n"
        "bench.tmux.kill_session('t16')\n"
    )
    for locale in ("C", "POSIX", ""):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "LIBTMUX"))}
        env |= {"LC_ALL": locale, "PYTHONPATH": str(ROOT)} if locale else {"PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
        assert done.stdout == "True True 1\n", done.stderr


def test_t17_strings_are_not_expanded_by_tmux(bench: Bench) -> None:
    """The name of a folder contains strftime, a format and a shell command."""
    odd = bench.folder / "a %Y #{pid} #(touch pwned) #[x] ${HOME} $(touch pwned2);"
    odd.mkdir()
    files = bench.part("pwd", folder=odd)
    shell = PaneSpec("w0", odd, ("/bin/sh", "-c", "pwd >w0.pwd; exec sleep 60"))
    bench.make("t17", bench.window("one", files), bench.window("w0", shell))
    bench.open(files)
    assert exited(files)
    wait_for("its log", lambda: f"\n{odd}\r\n" in files.log.read_bytes().decode())
    assert wait_for("w0", lambda: (odd / "w0.pwd").exists() and (odd / "w0.pwd").read_text()) == f"{odd}\n"
    assert not [p for p in (bench.folder, Path.cwd(), Path(os.environ["HOME"]), Path("/")) if list(p.glob("pwned*"))]


def test_t18_new_window_is_in_our_session_at_a_free_index(bench: Bench) -> None:
    """A window and a session of the user have our names, and another session is current."""
    bench.cmd("new-session", "-d", "-s", "theirs", "-n", "t18", "cat")
    bench.cmd("new-window", "-t", "=theirs:7", "-n", "part2", "cat")
    bench.cmd("new-session", "-d", "-s", "t18-2", "-n", "part1", "cat")
    parts = [bench.part("sleep", "60") for _ in range(30)]
    made = bench.make("t18", *(bench.window("t18", files) for files in parts))
    bench.open(*parts)
    assert set(bench.panes("t18")) == {p.pane for p in made.values()} and len(made) == 30
    assert len(bench.panes("theirs")) == 2 and len(bench.panes("t18-2")) == 1


def user_conf(text: str) -> None:
    with (Path(os.environ["HOME"]) / ".tmux.conf").open("a") as conf:
        conf.write(text + "\n")


@pytest.mark.parametrize(
    "line",
    [
        "set -g destroy-unattached on",
        "set -g detach-on-destroy on",
        "set -g remain-on-exit on",
        "set -g lock-after-time 1",
        "set -g lock-command false",
        "set -g default-size 1x1",
        "set -g default-shell /bin/false",
        "set -g history-limit 0",
        "set -g status off",
        "set -g window-size smallest",
        "set -g aggressive-resize on",
        "set -s exit-empty off",
        "set-hook -g client-detached kill-session",
        "set-hook -g pane-exited kill-session",
    ],
)
def test_t20_options_of_the_user_do_not_end_a_detached_session(bench: Bench, line: str) -> None:
    """These options have no effect, or none any more."""
    user_conf(line)
    first, second = bench.part("sleep", "60"), bench.part("sleep", "60")
    made = bench.build("t20", first, second)
    wait_for("both to run", lambda: not first.gate.exists() and not second.gate.exists())
    time.sleep(1.2 if "lock" in line else 0.2)
    assert set(bench.panes("t20")) == {p.pane for p in made.values()}
    mine = bench.cmd("show-options", "-g", "-v", "destroy-unattached").strip()
    assert mine == ("on" if "destroy-unattached" in line else "off"), "the user's own stays"
    bench.tmux.kill_session("t20")
    assert not bench.has("t20")


@pytest.mark.parametrize("attached", [False, True])
def test_t21_exit_unattached_is_refused(bench: Bench, attached: bool) -> None:
    """Refused, even while another terminal keeps the server running."""
    user_conf("set -s exit-unattached on")
    words = ["-L", "bench", "new-session", "-s", "theirs", "cat"]
    terminal = pexpect.spawn("tmux", words, dimensions=(40, 120), timeout=20) if attached else None
    if terminal:
        wait_for("a client", lambda: bench.cmd("list-clients"))
    with pytest.raises(HostError, match="exit-unattached is on: the tmux server and its lab would end") as e:
        bench.build("t21", bench.part("sleep", "60"))
    assert "~/.tmux.conf" in str(e.value.hint) and "tmux -L bench set -s exit-unattached off" in str(e.value.hint)
    assert not bench.has("t21") and bench.has("theirs") == attached
    if terminal:
        terminal.close(force=True)


@pytest.mark.parametrize(
    ("hook", "ends"),
    [
        ("after-new-session", "kill-session"),
        ("after-new-session", "kill-server"),
        ("session-created", "kill-session"),
        ("window-linked", "kill-session"),
        ("after-set-option", "kill-session"),
        ("after-new-window", "kill-window"),
    ],
)
def test_t22_hook_of_the_user_that_ends_the_session_is_reported(bench: Bench, hook: str, ends: str) -> None:
    user_conf(f"set-hook -g {hook} {ends}")
    parts = [bench.part("sleep", "60") for _ in range(3)]
    with pytest.raises(HostError, match="tmux ended the session t22 or some of its panes") as e:
        bench.build("t22", *parts)
    assert f"{hook}[0] {ends}" in str(e.value.hint) and not bench.has("t22")


@pytest.mark.parametrize("alias", ["new-session=kill-server", "set-option=kill-session"])
def test_t23_alias_of_the_user_does_not_replace_our_commands(bench: Bench, alias: str) -> None:
    """tmux 3.3 ignores an alias of a tmux command, later releases use it."""
    user_conf(f"set -s command-alias[100] {alias}")
    try:
        bench.build("t23", bench.part("sleep", "60"))
    except HostError as e:
        assert f"command-alias[100] {alias}" in str(e.hint)
    else:
        assert bench.has("t23")


@pytest.fixture
def lab(version: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = labs.make(tmp_path_factory.mktemp("lab"), "testlab8", None)
    made.env["PATH"] = f"{version}:{made.env['PATH']}"
    try:
        yield made
    finally:
        made.end()


@pytest.mark.parametrize("version", ["machine's"], indirect=True)
def test_t15_down_stops_processes_that_ignore_sighup(lab: Lab) -> None:
    """The child of the primary ignores SIGTERM and SIGHUP, and so does a process started by hand."""
    fake_tree(lab, "trap '' HUP TERM INT; (while :; do sleep 1; done) & echo 'EAL: FATAL: no'; wait; sleep 60")
    assert lab.wakeup("-ns", "0", "-nr", "0", "-nv", "0").returncode == 4
    shell = lab.tmux("list-panes", "-t", "=testlab8:w0", "-F", "#{pane_id}").strip()
    wait_for("a prompt", lambda: lab.tmux("capture-pane", "-p", "-t", shell).strip())
    lab.tmux("send-keys", "-t", shell, "trap '' HUP TERM; while :; do sleep 1; done &", "Enter")
    done = lab.down()
    assert done.returncode == 0 and "pri stopped (SIGKILL)" in done.stdout, done.stdout + done.stderr
    assert lab.leftovers() == []


def test_t19_lab_continues_when_the_terminal_closes(lab: Lab) -> None:
    """The terminal of wakeup is closed after it attached: the lab continues, and the next command finds it."""
    words = ["--conf", str(lab.conf), "--socket-name", lab.session, "-ns", "1", "-nr", "0", "-nv", "0"]
    terminal = pexpect.spawn(str(ROOT / "bin/wakeup.py"), words, env=lab.env, dimensions=(40, 120), timeout=60)
    wait_for("a client", lambda: lab.tmux("list-clients", "-F", "x") == "x\n", 60)
    before = lab.status()
    terminal.close(force=True)
    wait_for("no client", lambda: lab.tmux("list-clients", "-F", "x") == "")
    assert {row["state"] for row in before.values()} == {"ready"} and lab.status() == before
    assert lab.down().returncode == 0 and lab.leftovers() == []
