"""The script that is a part's pane: it waits at its gate, shows the command, runs it, keeps its exit status, runs it
again where a policy says so, and then leaves the user in their shell in the same pane, that command one arrow-up away.

Nothing is ever typed into a pane: keys sent to a shell that is still starting are lost 10 times out of 10.
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
from sppr.wait import AGAIN, END_OF_OUTPUT, LEFT

#: Tells a runscript that it runs in a pane of its part, and where that pane keeps the exit status.
EXIT_VARIABLE = "SPPR_EXIT_FILE"
#: Tells a runscript that nobody typed it: its pane runs the part again by policy.
POLICY_VARIABLE = "SPPR_BY_POLICY"
_MARK = f"printf '\\n[%s ended with status %s{END_OF_OUTPUT}\\n' {{name}} {{status}}"

# In `$?` signal N and an exit status of 128+N look the same. The shell calls waitpid, and prints a line ("Killed") only
# for a signal. So the shell's own standard error goes to a file, and the program's stays the terminal. `(exec …)` adds
# no process; without it dash sends its own line to the terminal, too. Tried with dash and bash. Both print nothing for
# SIGINT (130) and SIGPIPE (141): these two count as signals.
_SCRIPT = """\
#!/bin/sh
# Pane of {name}, written by sppr. The gate opens when what it waits for is ready.
trap 'asked=yes' INT QUIT
cd {cwd} || exit 1
{exports}
[ -p {gate} ] && printf '%s\\n' {waiting}
while [ -p {gate} ]; do read -r go <{gate} && break; done
rm -f {exit} {gate}
row=0 restarts=0
while :; do
printf '\\033[1m$ %s\\033[0m\\n' {command_text}
asked= began=$(cut -d. -f1 /proc/uptime)
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
printf '%s\\n' "$ended" >{exit}.new && mv {exit}.new {exit}
{again}
done
{mark}
unset {policy}
{{ cat ~/.bash_history 2>/dev/null; printf '%s\\n' {command_text}; }} >{history}
exec {shell}
"""

# Not after what people and `sppr` end: Ctrl-C, SIGHUP, SIGTERM, or a status of 0.
_AGAIN = """\
[ $(($(cut -d. -f1 /proc/uptime) - began)) -lt {settled} ] || row=0
case "$asked$ended" in yes*|0|129|130|143) break;; esac
[ -e {supervised} ] && [ ! -e {stopped} ] || break
[ "$row" -lt {most} ] || {{ printf '\\n[%s was run again {most} {left}\\n' {name}; break; }}
ms=$(({delay} << row)); [ "$ms" -lt 60000 ] || ms=60000
pause=$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))
row=$((row + 1)) restarts=$((restarts + 1))
printf '\\n[%s ended with status %s{mark_again}%s s (%s of {most} in a row); Ctrl-C: not again\\n' \\
    {name} "$status" "$pause" "$row"
sleep "$pause" && [ -z "$asked" ] && [ ! -e {stopped} ] || break
printf '%s\\n' "$restarts" >{restarts}
export {policy}=yes
"""

# An interactive shell prints its line about a signal to the terminal. Only the number is known here: above 192 (128 and
# the highest signal, 64) it is an exit status.
_BASHRC = """\
# A Ctrl-C while ~/.bashrc is read would end this file half-way.
trap '' INT
[ -f ~/.bashrc ] && . ~/.bashrc
# This pane's command is the newest line of a history of its own, its exit status lies where `sppr status` finds it.
HISTFILE={history}
__sppr_prompt() {{
    local status=$?
    if [ -z "$__sppr_started" ]; then __sppr_started=1
    elif [ ! -e {exit} ] && [ ! -e "/proc/$(cut -d' ' -f1 {record} 2>/dev/null)/status" ]; then
        if [ "$status" -gt 192 ]; then printf '%s\\n' $((status - 256)); else printf '%s\\n' "$status"; fi >{exit}
        {mark}
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
precmd_sppr() {{
    local last=$?
    if [ ! -e {exit} ] && [ ! -e "/proc/$(cut -d' ' -f1 {record} 2>/dev/null)/status" ]; then
        print -r -- $(( last > 192 ? last - 256 : last )) >{exit}
        {zsh_mark}
    fi
}}
precmd_functions=(precmd_sppr $precmd_functions)
"""


@dataclass(frozen=True)
class Restart:
    """When a part that failed is run again: after ``delay`` seconds, then twice that, and so on, up to a minute.

    ``most`` times in a row; a run of ``settled`` seconds ends a row.
    """

    most: int
    delay: float = 1.0
    settled: int = 60


@dataclass(frozen=True)
class PaneFiles:
    """Files of a pane below the session's run directory."""

    folder: Path
    name: str

    @property
    def script(self) -> Path:
        return self.folder / f"{self.name}.sh"

    @property
    def gate(self) -> Path:
        return self.folder / f"{self.name}.gate"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def exit(self) -> Path:
        """How the last run ended, a number; absent while it runs.

        128+N: by signal N. An exit status above 128 is written minus 256 (255 is -1, as C programs return it), so that
        no exit status looks like a signal.
        """
        return self.folder / f"{self.name}.exit"

    @property
    def report(self) -> Path:
        """What the pane's shell printed about the end of the last run: a line after a signal, else empty."""
        return self.folder / f"{self.name}.report"

    @property
    def history(self) -> Path:
        """Shell history of the pane: the user's own, and this pane's command as its newest line."""
        return self.folder / f"{self.name}.history"

    @property
    def record(self) -> Path:
        """``PID CREATED TERMINAL`` of the last run, written by the runscript before it becomes the program."""
        return self.folder / f"{self.name}.pid"

    @property
    def program(self) -> Path:
        """What the last run became, a JSON list of words."""
        return self.folder / f"{self.name}.program"

    @property
    def supervised(self) -> Path:
        """There once the part has been ready: a part that does not come up in the first place is not run again."""
        return self.folder / f"{self.name}.supervised"

    @property
    def restarts(self) -> Path:
        """How often it was run again by itself, a number; absent: never."""
        return self.folder / f"{self.name}.restarts"

    @property
    def stopped(self) -> Path:
        """There while the part is ended, or was, because somebody asked for that: it is not to come back by itself."""
        return self.folder / f"{self.name}.stopped"


def write(
    files: PaneFiles,
    argv: Sequence[str],
    cwd: Path,
    needs: Sequence[str],
    env: Mapping[str, str],
    restart: Restart | None = None,
) -> None:
    """Write the pane's script and its shell's start-up file, and make its gate."""
    command = shlex.join(argv)
    words = {name: shlex.quote(str(getattr(files, name))) for name in ("exit", "record", "report", "gate", "history")}
    words["mark"] = _MARK.format(name=shlex.quote(files.name), status='"$status"')
    words["zsh_mark"] = _MARK.format(name=shlex.quote(files.name), status='"$last"')
    variables = {**env, EXIT_VARIABLE: str(files.exit)}
    text = _SCRIPT.format(
        **words,
        name=shlex.quote(files.name),
        cwd=shlex.quote(str(cwd)),
        exports="\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        waiting=shlex.quote(f"[{files.name} waits for {', '.join(needs) or 'its turn'}]"),
        command=command,
        command_text=shlex.quote(command),
        shell=_shell(files, command, words),
        again=_again(files, restart),
        policy=POLICY_VARIABLE,
    )
    # Of a run before, in a pane that is gone or made anew: what stands there must be about the run to come.
    for old in (files.gate, files.exit, files.record, files.stopped, files.supervised, files.restarts):
        old.unlink(missing_ok=True)
    files.log.touch()
    rotation.writer_of(files.log).write_text(rotation.writer(files.log) + "\n")
    os.mkfifo(files.gate, 0o600)
    # A shell that still runs the old text reads on in the old file.
    new = files.script.with_suffix(".new")
    new.write_text(text)
    new.rename(files.script)


def _again(files: PaneFiles, restart: Restart | None) -> str:
    """What the script does after a run: ``break``, or what leads to one sooner or later."""
    if restart is None:
        return "break"
    return _AGAIN.format(
        **{name: shlex.quote(str(getattr(files, name))) for name in ("supervised", "stopped", "restarts", "name")},
        most=restart.most,
        delay=round(restart.delay * 1000),
        settled=restart.settled,
        mark_again=AGAIN,
        left=LEFT,
        policy=POLICY_VARIABLE,
    )


def user_shell() -> str:
    """The shell of the user, one that can be typed into: not /bin/false."""
    shell = os.environ.get("SHELL", "")
    usable = Path(shell).name not in ("", "false", "nologin", "true") and os.access(shell, os.X_OK)
    return shell if usable else "/bin/bash" if os.access("/bin/bash", os.X_OK) else "/bin/sh"


def _shell(files: PaneFiles, command: str, words: dict[str, str]) -> str:
    """The user's shell with ``command`` as the newest line of its history: bash and zsh; bash for any other."""
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
    """Let the pane's script go on. NotReady when no script waits there."""

    def written() -> bool:
        try:
            gate = os.open(files.gate, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as e:
            if e.errno in (errno.ENXIO, errno.EINTR):
                return False
            raise NotReady(f"{files.name}: its pane is gone ({files.gate}: {e.strerror})") from e
        with os.fdopen(gate, "wb", buffering=0) as f:
            f.write(b"go\n")
        return True

    if not deadline.poll(written, 0.01):
        raise NotReady(f"{files.name}: its pane did not come up in {deadline.seconds:.0f} s")
