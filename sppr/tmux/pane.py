"""Write the script that a part's pane runs.

The script waits at its start gate (a FIFO), prints the command, runs it and stores the exit status. It restarts the
part if the restart policy says so. Then it starts the user's shell in the same pane, with the command as the newest
line of its history.

Nothing is ever typed into a pane: a shell that is still starting lost the keys in 10 of 10 tries.
"""

import errno
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sppr import rotation
from sppr.deadline import Deadline
from sppr.errors import NotReady
from sppr.wait import END_OF_OUTPUT, RESTART_PENDING, RESTARTS_EXHAUSTED

#: Set for a runscript in a pane of its part: the file for the exit status.
EXIT_VARIABLE = "SPPR_EXIT_FILE"
#: Set for a runscript that the pane restarted by policy, so nobody typed the command.
POLICY_VARIABLE = "SPPR_BY_POLICY"
#: Set for a runscript that the script of the pane runs, and not for one that the user types in the shell after it.
SCRIPT_VARIABLE = "SPPR_BY_SCRIPT"
_EXIT_LINE = f"printf '\\n[%s exited with status %s{END_OF_OUTPUT}\\n' {{name}} {{status}}"
# journal EVENT KEY NUMBER: append an event to the journal of the lab (lab/state/journal.py).
_JOURNAL = """[ -d {folder} ] && printf '{{"time":%s,"event":"part.%s","part":"{part}","%s":%s}}\\n' \
    "$(date +%s.%3N)" "$1" "$2" "$3" 2>/dev/null >>{folder}/events.jsonl"""

# `$?` is the same for signal N and for exit status 128+N. To tell them apart: the shell calls waitpid, and prints a
# line ("Killed") only for a signal. The shell's standard error therefore goes to a file, while that of the program
# stays the terminal. `(exec …)` adds no process; without it, dash also prints its line to the terminal. Tried with dash
# and bash. Neither prints a line for SIGINT (130) and SIGPIPE (141), so these two always count as signals.
_SCRIPT = """\
#!/bin/sh
# Pane of {name}, written by sppr. sppr opens the start gate when the parts that this one depends on are ready.
trap 'interrupted=yes' INT QUIT
cd {cwd} || exit 1
{exports}
journal() {{ {journal} ; }}
[ -p {gate} ] && printf '%s\\n' {waiting}
while [ -p {gate} ]; do read -r go <{gate} && break; done
rm -f {exit} {gate}
in_row=0 restarts=0
while :; do
printf '\\033[1m$ %s\\033[0m\\n' {command_text}
interrupted= began=$(cut -d. -f1 /proc/uptime)
rm -f {report} 2>/dev/null
exec 3>&2
command exec 2>{report}
(exec {command} 2>&3 3>&-)
status=$?
exec 2>&3 3>&-
cat {report} 2>/dev/null
case $status in 130|141) by_signal=yes;; *) by_signal=; [ ! -s {report} ] || by_signal=yes;; esac
ended=$status
[ "$status" -le 128 ] || [ -n "$by_signal" ] || ended=$((status - 256))
stty sane 2>/dev/null
if [ -e {resuming} ] && [ ! -e {stopped} ]; then
case "$interrupted$ended" in yes*|0|129|130|143) ;; *) rm -f {record}; continue;; esac
fi
rm -f {resuming}
printf '%s\\n' "$ended" >{exit}.new && mv {exit}.new {exit}
journal exited status "$ended"
{after_run}
done
{exit_line}
unset {policy} {script_variable}
{{ cat ~/.bash_history 2>/dev/null; printf '%s\\n' {command_text}; }} >{history}
exec {shell}
"""

# No restart after Ctrl-C, SIGHUP, SIGTERM or status 0: that is how a user or `sppr` stops a part.
_RESTART = """\
[ $(($(cut -d. -f1 /proc/uptime) - began)) -lt {stable_s} ] || in_row=0
case "$interrupted$ended" in yes*|0|129|130|143) break;; esac
[ -e {supervised} ] && [ ! -e {stopped} ] || break
[ "$in_row" -lt {max_in_row} ] || {{ printf '\\n[%s was restarted {max_in_row} {exhausted}\\n' {name}; break; }}
ms=$(({delay} << in_row)); [ "$ms" -lt 60000 ] || ms=60000
pause=$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))
in_row=$((in_row + 1)) restarts=$((restarts + 1))
printf '\\n[%s exited with status %s{pending}%s s (%s of {max_in_row} in a row); Ctrl-C cancels the restart\\n' \\
    {name} "$status" "$pause" "$in_row"
sleep "$pause" && [ -z "$interrupted" ] && [ ! -e {stopped} ] || break
printf '%s\\n' "$restarts" >{restarts}
journal restarted restarts "$restarts"
export {policy}=yes
"""

# An interactive shell prints its line about a signal to the terminal, so only the number is known here. Above 192 (128
# and the highest signal, 64) it is an exit status.
_BASHRC = """\
# A Ctrl-C while bash reads ~/.bashrc would skip the rest of this file.
trap '' INT
[ -f ~/.bashrc ] && . ~/.bashrc
# The pane has its own history with the command as its newest line. `sppr status` reads the exit status from a file.
HISTFILE={history}
__sppr_journal() {{ {journal} ; }}
__sppr_prompt() {{
    local status=$?
    if [ -z "$__sppr_started" ]; then __sppr_started=1
    elif [ ! -e {exit} ] && [ ! -e "/proc/$(cut -d' ' -f1 {record} 2>/dev/null)/status" ]; then
        if [ "$status" -gt 192 ]; then printf '%s\\n' $((status - 256)); else printf '%s\\n' "$status"; fi >{exit}
        __sppr_journal exited status "$(cat {exit})"
        {exit_line}
    fi
    return $status
}}
PROMPT_COMMAND="__sppr_prompt${{PROMPT_COMMAND:+;$PROMPT_COMMAND}}"
trap - INT
"""

_ZSHRC = """\
ZDOTDIR=${{SPPR_ZDOTDIR:-$HOME}}
[ -f "$ZDOTDIR/.zshrc" ] && . "$ZDOTDIR/.zshrc"
print -s -- {command_text}
journal_sppr() {{ {journal} ; }}
precmd_sppr() {{
    local last=$?
    if [ ! -e {exit} ] && [ ! -e "/proc/$(cut -d' ' -f1 {record} 2>/dev/null)/status" ]; then
        print -r -- $(( last > 192 ? last - 256 : last )) >{exit}
        journal_sppr exited status "$(cat {exit})"
        {zsh_exit_line}
    fi
}}
precmd_functions=(precmd_sppr $precmd_functions)
"""


@dataclass(frozen=True)
class Restart:
    """The restart policy of a part: it restarts after ``delay`` seconds, and each further restart waits twice as long,
    up to a minute.

    ``max_in_row``: number of restarts in a row.
    ``delay``: seconds before the first restart.
    ``stable_s``: a run of this many seconds resets the count.
    """

    max_in_row: int
    delay: float = 1.0
    stable_s: int = 60


@dataclass(frozen=True)
class PaneFiles:
    """Paths of the files of a pane in the session's run directory."""

    folder: Path
    name: str

    @property
    def script(self) -> Path:
        """The script that the pane runs."""
        return self.folder / f"{self.name}.sh"

    @property
    def gate(self) -> Path:
        """The start gate: a FIFO that the script reads until sppr opens it."""
        return self.folder / f"{self.name}.gate"

    @property
    def log(self) -> Path:
        """The output of the pane (see ``rotation.py``)."""
        return self.folder / f"{self.name}.log"

    @property
    def exit(self) -> Path:
        """The exit status of the last run, a number. The file does not exist while the part runs.

        128+N stands for signal N. An exit status above 128 is stored minus 256 (255 becomes -1, as C programs return
        it), so that no exit status looks like a signal.
        """
        return self.folder / f"{self.name}.exit"

    @property
    def resuming(self) -> Path:
        """Exists while a VM resumes from a saved state. If QEMU exits meanwhile, the script runs it again to boot."""
        return self.folder / f"{self.name}.resuming"

    @property
    def report(self) -> Path:
        """The line that the pane's shell printed about the last run if a signal ended it, else empty."""
        return self.folder / f"{self.name}.report"

    @property
    def history(self) -> Path:
        """Shell history of the pane: the user's history, then the command of this pane."""
        return self.folder / f"{self.name}.history"

    @property
    def record(self) -> Path:
        """``PID CREATED TERMINAL`` of the last run, written by the runscript before it executes the program."""
        return self.folder / f"{self.name}.pid"

    @property
    def program(self) -> Path:
        """The command line that the runscript executed in the last run, a JSON list of words."""
        return self.folder / f"{self.name}.program"

    @property
    def supervised(self) -> Path:
        """Exists once the part has been ready. A part that never became ready is not restarted."""
        return self.folder / f"{self.name}.supervised"

    @property
    def restarts(self) -> Path:
        """The number of restarts by policy. The file does not exist before the first."""
        return self.folder / f"{self.name}.restarts"

    @property
    def stopped(self) -> Path:
        """Exists while a user stops the part, and afterwards: the policy must not restart it."""
        return self.folder / f"{self.name}.stopped"


def write(
    files: PaneFiles,
    argv: Sequence[str],
    cwd: Path,
    needs: Sequence[str],
    env: Mapping[str, str],
    restart: Restart | None = None,
) -> None:
    """Write the script of the pane and the start-up file of its shell, and create its start gate."""
    command = shlex.join(argv)
    names = ("exit", "record", "report", "gate", "history", "resuming", "stopped")
    words = {name: shlex.quote(str(getattr(files, name))) for name in names}
    words["journal"] = _JOURNAL.format(folder=shlex.quote(str(files.folder)), part=files.name)
    words["exit_line"] = _EXIT_LINE.format(name=shlex.quote(files.name), status='"$status"')
    words["zsh_exit_line"] = _EXIT_LINE.format(name=shlex.quote(files.name), status='"$last"')
    variables = {**env, EXIT_VARIABLE: str(files.exit), SCRIPT_VARIABLE: "yes"}
    text = _SCRIPT.format(
        **words,
        name=shlex.quote(files.name),
        cwd=shlex.quote(str(cwd)),
        exports="\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        waiting=shlex.quote(f"[{files.name} waits for {', '.join(needs) or 'its start gate'}]"),
        command=command,
        command_text=shlex.quote(command),
        shell=_shell(files, command, words),
        after_run=_after_run(files, restart),
        policy=POLICY_VARIABLE,
        script_variable=SCRIPT_VARIABLE,
    )
    # These files may remain from an earlier run. From now on they must describe the next run only.
    for name in ("gate", "exit", "record", "stopped", "supervised", "restarts", "resuming"):
        getattr(files, name).unlink(missing_ok=True)
    files.log.touch()
    rotation.writer_path(files.log).write_text(rotation.writer_command(files.log) + "\n")
    os.mkfifo(files.gate, 0o600)
    # A shell that still executes the old script continues to read the old file.
    new = files.script.with_suffix(".new")
    new.write_text(text)
    new.rename(files.script)


def _after_run(files: PaneFiles, restart: Restart | None) -> str:
    """Return the shell code that follows a run: ``break``, or a restart that ends with ``break`` at the limit."""
    if restart is None:
        return "break"
    return _RESTART.format(
        **{name: shlex.quote(str(getattr(files, name))) for name in ("supervised", "stopped", "restarts", "name")},
        max_in_row=restart.max_in_row,
        delay=round(restart.delay * 1000),
        stable_s=restart.stable_s,
        pending=RESTART_PENDING,
        exhausted=RESTARTS_EXHAUSTED,
        policy=POLICY_VARIABLE,
    )


def user_shell() -> str:
    """Return the user's shell if it is interactive (not /bin/false), else bash or sh."""
    shell = os.environ.get("SHELL", "")
    usable = Path(shell).name not in ("", "false", "nologin", "true") and os.access(shell, os.X_OK)
    return shell if usable else "/bin/bash" if os.access("/bin/bash", os.X_OK) else "/bin/sh"


def _shell(files: PaneFiles, command: str, words: dict[str, str]) -> str:
    """Return the command of the user's shell with ``command`` as its newest history line. Shells other than bash and
    zsh become bash."""
    shell = user_shell()
    if Path(shell).name == "zsh":
        folder = files.folder / f"{files.name}.zsh"
        folder.mkdir(exist_ok=True)
        (folder / ".zshrc").write_text(_ZSHRC.format(**words, command_text=shlex.quote(command)))
        old = shlex.quote(os.environ.get("ZDOTDIR", ""))
        return f"env SPPR_ZDOTDIR={old} ZDOTDIR={shlex.quote(str(folder))} {shlex.quote(shell)} -i"
    rc = files.folder / f"{files.name}.rc"
    rc.write_text(_BASHRC.format(**words, command_text=shlex.quote(command)))
    bash = shell if Path(shell).name == "bash" else "bash"
    return f"env HISTFILE={words['history']} {shlex.quote(bash)} --rcfile {shlex.quote(str(rc))} -i"


def open_gate(files: PaneFiles, deadline: Deadline) -> None:
    """Let the script of the pane continue. Raise NotReady if no script waits at the gate before the deadline."""

    def try_open() -> bool:
        try:
            gate = os.open(files.gate, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as e:
            if e.errno in (errno.ENXIO, errno.EINTR):
                return False
            raise NotReady(f"{files.name}: its pane no longer exists ({files.gate}: {e.strerror})") from e
        with os.fdopen(gate, "wb", buffering=0) as f:
            f.write(b"go\n")
        return True

    if not deadline.poll(try_open, 0.01):
        raise NotReady(f"{files.name}: its pane did not start within {deadline.seconds:.0f} s")
