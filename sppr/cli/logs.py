"""``sppr logs``: what a part has printed."""

import sys

import click

from sppr.cli import options
from sppr.cli.edge import CONTEXT, Edge


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    from sppr.cli.which import session_of
    from sppr.lab import state as states

    parts = states.load(session_of(ctx.params.get("session"))).plan.parts
    return [part.name for part in parts if part.name.startswith(incomplete)]


@click.command(cls=Edge, context_settings=CONTEXT)
@click.argument("name", shell_complete=_names)
@options.session
def main(name: str, session: str | None) -> None:
    """Print what a part (as `sppr status` names it) has printed since its first byte."""
    from sppr.cli.which import session_of
    from sppr.errors import SpprError
    from sppr.lab import state as states

    state = states.load(session_of(session))
    part = next((p for p in state.plan.parts if p.name == name), None)
    if part is None:
        known = ", ".join(p.name for p in state.plan.parts)
        raise SpprError(f"{name}: no part of session {state.plan.session}", hint=f"its parts: {known}")
    with part.files(state.folder).log.open("rb") as log:
        while chunk := log.read(1 << 16):
            sys.stdout.buffer.write(chunk)
