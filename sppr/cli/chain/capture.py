"""``sppr capture``: frames of any ports of the lab, in one pcapng or on the terminal."""

import os
import sys
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingCommand


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@click.argument("targets", nargs=-1, required=True, metavar="PORT|CHAIN…")
@click.option("-w", "file", metavar="FILE", help="Write a pcapng; -: the standard output.  [default: print frames]")
@click.option(
    "-d", "direction", type=click.Choice(["rx", "tx", "both"]), default="both", show_default=True,
    help="Frames that the process receives from the port, or sends to it.",
)  # fmt: skip
@click.option("-f", "expression", metavar="FILTER", default="", help="Frames to capture, as in tcpdump: 'icmp'.")
@click.option("-c", "count", type=click.IntRange(1, 1 << 62), metavar="N", help="Stop after N frames.")
@click.option("-s", "snaplen", type=click.IntRange(64, 262144), metavar="SNAPLEN", help="Bytes of each frame, at most.")
@click.option("--force", is_flag=True, help="Replace an existing FILE.")
@options.session
def main(
    targets: tuple[str, ...], file: str | None, direction: Any, expression: str, count: int | None, snaplen: int | None,
    force: bool, session: str | None,
) -> int:  # fmt: skip
    """Capture frames while the lab runs, until Ctrl-C: of a chain (all its ports), a port (tap:0), or a port of a part
    (sec1:vhost:11, vm_v11:phy:0). Each side of a port is an interface of the pcapng: "nfv:1 vhost:11 rx".

    In Wireshark: sppr capture web -w - | wireshark -k -i -
    """
    from contextlib import ExitStack

    from sppr.cli.session import own_session
    from sppr.errors import SpprError
    from sppr.lab.capture import pipe, program, sides
    from sppr.lab.capture.guest import GuestCapture
    from sppr.lab.chains import status
    from sppr.lab.chains.proof.prove import is_upstream
    from sppr.lab.state import state as states
    from sppr.spp import tree

    if file == "-" and sys.stdout.isatty():
        raise SpprError("-w -: a pcapng is no text for a terminal", hint="sppr capture ... -w - | wireshark -k -i -")
    state = states.load_same_boot(own_session(session))
    if is_upstream(state):
        raise SpprError("upstream SPP has no captures of ports", hint="type: pcap captures a port there")
    found = sides.find(state.plan.wiring, state.plan.parts, status.observe_chains(state), targets, direction)
    binary = tree.binary("capture", None, "")
    decode = program.decoder() if file is None else []
    chosen = program.Options(file or "-", expression, count or 0, snaplen or 0, force)
    sockets = {side.process: program.socket_of(state.plan.sock_dir, side) for side in found if not side.in_guest}
    guests = {side.process for side in found if side.in_guest}
    if not guests and not decode:
        argv = program.argv(binary, found, sockets, chosen)
        os.execv(argv[0], argv)  # noqa: S606 - Ctrl-C and the pipe are its own
    with ExitStack() as stack:
        for process in sorted(guests):
            own = [side for side in found if side.process == process]
            sockets[process] = stack.enter_context(GuestCapture(state.plan.api, own)).socket
        return pipe.run(program.argv(binary, found, sockets, chosen), decode)
