"""``sppr plan``: what ``up`` would do."""

from pathlib import Path
from typing import Any

import click

from sppr.cli import options
from sppr.cli.chain import commands
from sppr.cli.errors import CONTEXT, Edge


@click.command(cls=Edge, context_settings=CONTEXT)
@options.lab
@click.option("--json", "as_json", is_flag=True, help="The plan as it is kept on disk.")
def main(conf: Path | None, session: str | None, socket_name: str | None, as_json: bool, **flags: Any) -> None:
    """Print every window, folder and command of up; touch nothing."""
    from sppr.cli.context import gather

    lab = gather(conf, session, socket_name, flags)
    if as_json:
        import json
        from dataclasses import asdict

        click.echo(json.dumps(asdict(lab.plan), indent=1))
        return
    show(lab)


def show(lab: Any) -> None:
    """The plan as text: a window a paragraph, each pane with its folder, its line and what that becomes."""
    from sppr.host import checks
    from sppr.host.checks import cores

    click.echo("\n".join(text(lab.plan)))
    for left in lab.plan.wiring.left_out:
        click.echo(f"note: chain {left.name} is left out: {left.why}", err=True)
    for finding in cores.exist(lab.facts, checks.Needs(lcores=lab.plan.lcores)):
        click.echo(f"note: {finding.what}", err=True)
    if lab.site.no_store is not None and lab.plan.images:
        click.echo(f"note: {lab.site.no_store.what}: {lab.site.no_store.hint}", err=True)


def text(plan: Any) -> list[str]:
    """Lines of the plan."""
    from sppr.host.root.privilege import is_root
    from sppr.run import pasteable

    socket = f"-L {plan.socket_name} " if plan.socket_name else ""
    lines = [f"session {plan.session}   (tmux {socket}attach -t ={plan.session}), state in {plan.run}"]
    parts = {part.name: part for part in plan.parts}
    for window in plan.windows:
        lines.append(f"\nwindow {window.name}")
        for pane in window.panes:
            if pane not in parts:
                lines += [f"  {pane}: your shell", f"    in:      {plan.folder}"]
                continue
            part = parts[pane]
            lines.append(f"  {pane}: after {', '.join(part.needs)}" if part.needs else f"  {pane}:")
            lines += [f"    in:      {plan.folder}", f"    command: {pasteable(part.command)}"]
            if part.ports:
                server = part.server or "the primary's vdevs"
                where = f"listening at {', '.join(part.sockets)}" if part.sockets else f"in {', '.join(part.regions)}"
                label = "first:  " if part.sockets else "then:   "
                lines.append(f"    {label} {', '.join(part.ports)} on {server}, {where}")
            if part.disk:
                lines.append(f"    disk:    {part.disk}")
            program = pasteable(part.program)
            lines.append(f"    becomes: {'sudo -- ' * (part.as_root and not is_root())}{program}")
    if plan.wiring.chains:
        lines += ["", "chains", *(f"  {line}" for line in commands.wired(plan.wiring))]
    return lines
