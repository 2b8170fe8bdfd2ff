"""``sppr down``: end the lab."""

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, Edge, say


@click.command(cls=Edge, context_settings=CONTEXT)
@options.verb_session
@options.powerdown
def main(session: str | None, powerdown: float) -> int:
    """End the lab in reverse order: VMs, secondaries, primary, controller, then its session, sockets and hugepages."""
    from sppr import log
    from sppr.cli.session import check_lost_owner, own_session
    from sppr.cli.terminal.sudo_prompt import show_commands
    from sppr.lab.down import recovery, teardown
    from sppr.lab.state import state as states
    from sppr.tmux.server import Tmux

    name = own_session(session)
    show_commands()
    with states.locked(name):
        log.log_to(states.log_path())
        try:
            state = states.load(name)
        except states.NoSession as e:
            if session is None:
                check_lost_owner(name)
            others = ", ".join(states.sessions())
            if recovery.lost(name, say):
                say(f"session {name} is down")
            else:
                click.echo(e.what + (f"; running: {others}" if others else ""))
            return 0
        except states.Broken as e:
            click.echo(f"warning: {e.what}; ending what its pid records name")
            sure = recovery.wreck(name, say)
            say(f"session {name} is down")
            return 0 if sure else 1
        tmux = Tmux(state.plan.socket_name)
        if state.stale:
            teardown.sweep_stale(state, tmux)
            click.echo(f"session {name} was up before the machine was restarted: what it left was swept")
            return 0
        teardown.down(state, tmux, say, powerdown)
        say(f"session {name} is down")
    return 0
