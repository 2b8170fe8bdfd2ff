"""bin/sppsh: log in to a guest, by ssh or its serial console, from any folder."""

import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingCommand, renamed

#: The exit status of ssh for a connection that failed.
SSH_FAILED = 255


class Words(ErrorReportingCommand):
    """A command line on which, with -r, everything after TARGET is the command, including options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_interspersed_args = not {"-r", "--run"} & set(args)
        return super().parse_args(ctx, args)


@click.command(cls=Words, context_settings=CONTEXT)
@click.option("-l", "--list", "list_", is_flag=True, help="List the guests: id, host name, address of ssh, state.")
@click.option("--json", "as_json", is_flag=True, help="With -l: a list of objects.")
@click.option("-a", "--account", "user", default="root", show_default=True, metavar="USER", help="User to log in as.")
@click.option("-c", "--console", metavar="TARGET", help="Show the serial console of the guest.")
@click.option(
    "-r", "--run", "run_on", metavar="TARGET", help="Run CMD in the guest, or in all, and return its exit status."
)
@click.option("--rename", nargs=2, metavar="TARGET NAME", help="Set the host name of the guest.")
@click.option("-u", "--update", nargs=2, metavar="TARGET NAME", hidden=True)
@click.option("--shutdown", metavar="TARGET", help="Power the guest off.")
@click.option("--shutdown-all", is_flag=True, help="Power all guests off.")
@click.option("--powerdown", type=float, default=60.0, show_default=True, help="Seconds a guest has to power off.")
@options.verb_session
@click.argument("words", nargs=-1, metavar="[TARGET | CMD…]")
def main(session: str | None, words: tuple[str, ...], **given: Any) -> int:
    """Log in to a guest of the lab. TARGET is an id (11) or a host name (vm-v11), exactly.

    \b
    sppsh -l                       list the guests
    sppsh 11                       log in
    sppsh -r all uname -r          run a command in all guests; each line begins with the host name
    sppsh --shutdown vm-v11        power it off
    """
    from sppr.cli.session import own_session, session_of
    from sppr.lab import guests

    if given["update"] and not given["rename"]:
        renamed("sppsh -u", "sppsh --rename")
        given["rename"] = given["update"]
    _one_verb(given, words)
    name = session_of(session) if given["list_"] else own_session(session)
    found = guests.guests(name)
    if given["list_"]:
        return _list(found, given["as_json"])
    if given["console"]:
        return _console(name, guests.require_running(guests.select(found, given["console"])[0]))
    if given["run_on"]:
        return _run(found, given["run_on"], given["user"], words)
    if given["rename"]:
        return _rename(found, given["user"], *given["rename"])
    if given["shutdown"] or given["shutdown_all"]:
        return _shut_down(found, given["shutdown"], given["powerdown"])
    return _log_in(guests.require_running(guests.select(found, words[0])[0]), given["user"])


def _one_verb(given: dict[str, Any], words: Sequence[str]) -> None:
    if not given["user"] or given["user"].startswith("-"):
        raise click.UsageError(f"-a {given['user']}: is no name of a user: sppsh -a debian 11")
    verbs = [key for key in ("list_", "console", "run_on", "rename", "shutdown", "shutdown_all") if given[key]]
    if len(verbs) > 1:
        raise click.UsageError("one of -l, -c, -r, --rename, --shutdown and --shutdown-all at a time")
    if verbs == ["run_on"] and not words:
        raise click.UsageError("-r TARGET needs a command: sppsh -r 11 uname -r")
    if verbs and verbs != ["run_on"] and words:
        raise click.UsageError(f"{' '.join(words)!r}: too many words")
    if not verbs and len(words) != 1:
        raise click.UsageError("name one guest to log in to; sppsh -l shows them")
    if not verbs and words[0] == "all":
        raise click.UsageError("one can log in to one guest only; sppsh -r all CMD runs a command on all")


def _list(found: Sequence[Any], as_json: bool) -> int:
    if as_json:
        rows = [
            {"id": g.id, "host": g.host, "vm": g.vm, "address": g.address, "state": g.state,
             "pid": g.proc.pid if g.proc else None} for g in found
        ]  # fmt: skip
        click.echo(json.dumps(rows, indent=1))
        return 0
    width = max((len(guest.host) for guest in found), default=0)
    for guest in found:
        click.echo(f"{guest.id:3}  {guest.host:{width}}  {guest.address:15}  {guest.state}")
    if not found:
        click.echo("no guests", err=True)
    return 0


def _log_in(guest: Any, user: str) -> int:
    from sppr.deadline import Deadline
    from sppr.lab import guests
    from sppr.run import find_program

    guests.check_key(guest)
    guests.wait_sshd(guest, Deadline(guests.SSHD_SECONDS))
    argv = guest.ssh(user)
    os.execv(find_program("ssh"), argv)  # noqa: S606 - argv only


def _console(session: str, guest: Any) -> int:
    from sppr.errors import HostError
    from sppr.lab.state import state as states
    from sppr.tmux.server import Tmux, attach_terminal

    if guest.pane is None:
        what = f"{guest.host}: was started by hand, and its console is in the terminal where that was done"
        raise HostError(what, hint=f"log in instead: sppsh {guest.id}")
    tmux = Tmux(states.load(session).plan.socket_name)
    tmux.show_pane(guest.pane)
    attach_terminal(tmux, session)
    return 0


def _run(found: Sequence[Any], target: str, user: str, words: Sequence[str]) -> int:
    """Run the command, and return its exit status; of several guests, the first that is not 0."""
    from sppr.deadline import Deadline
    from sppr.lab import guests
    from sppr.run import find_program

    chosen = [guests.require_running(guest) for guest in guests.select(found, target)]
    for guest in chosen:
        guests.check_key(guest)
    if target != "all":
        guests.wait_sshd(chosen[0], Deadline(guests.SSHD_SECONDS))
        argv = [*chosen[0].ssh(user, "-o", "BatchMode=yes", *(["-t"] if sys.stdin.isatty() else [])), *words]
        sys.stdout.flush()
        os.execv(find_program("ssh"), argv)  # noqa: S606 - argv only
    with ThreadPoolExecutor(max_workers=len(chosen)) as pool:
        statuses = list(pool.map(lambda guest: _run_one(guest, user, words), chosen))
    return next((status for status in statuses if status), 0)


def _run_one(guest: Any, user: str, words: Sequence[str]) -> int:
    from sppr.deadline import Deadline
    from sppr.lab import guests
    from sppr.run import run

    try:
        guests.wait_sshd(guest, Deadline(guests.SSHD_SECONDS))
    except guests.NoGuest as e:
        click.echo(e.what, err=True)
        return SSH_FAILED
    done = run([*guest.ssh(user, "-o", "BatchMode=yes", "-n"), *words], check=False)
    for text, err in ((done.stdout, False), (done.stderr, True)):
        if text:
            click.echo("\n".join(f"{guest.host}: {line}" for line in text.splitlines()), err=err)
    if done.returncode:
        click.echo(f"{guest.host}: exit status {done.returncode}", err=True)
    return done.returncode


def _rename(found: Sequence[Any], user: str, target: str, name: str) -> int:
    from sppr.deadline import Deadline
    from sppr.errors import HostError
    from sppr.lab import guests
    from sppr.run import run

    guest = guests.require_running(guests.select(found, target)[0])
    if target == "all":
        raise click.UsageError("one guest only: no two have the same name")
    guests.check_new_name(found, guest, name)
    guests.check_key(guest)
    guests.wait_sshd(guest, Deadline(guests.SSHD_SECONDS))
    done = run([*guest.ssh(user, "-o", "BatchMode=yes", "-n"), guests.rename_command(name)], check=False)
    if done.returncode:
        raise HostError(f"{guest.host}: {done.stderr.strip() or 'ssh failed'}", hint=f"look: sppsh {guest.id}")
    guests.record_name(guest, name)
    click.echo(f"{guest.host} is {name} now; an open shell shows the old name until it is restarted")
    return 0


def _shut_down(found: Sequence[Any], target: str | None, seconds: float) -> int:
    """Power guests off. Return 0 if all are off, 1 otherwise."""
    from sppr.lab import guests

    chosen = guests.select(found, target or "all")
    for guest in chosen:
        guests.require_running(guest)
    with ThreadPoolExecutor(max_workers=len(chosen)) as pool:
        ways = list(pool.map(lambda guest: guests.shut_down(guest, seconds), chosen))
    for guest, how in zip(chosen, ways, strict=True):
        text = {"powerdown": "is off", "gone": "is off", None: "still runs"}.get(how, f"did not power off: {how}")
        click.echo(f"{guest.host} {text}")
    return 0 if all(ways) else 1
