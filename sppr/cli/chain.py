"""``sppr chain``: the service chains of the lab."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from sppr.cli import options
from sppr.cli.edge import CONTEXT, EdgeGroup


@click.group(cls=EdgeGroup, context_settings=CONTEXT)
def main() -> None:
    """Service chains: plan them."""


@main.command()
@options.lab
@click.option("--json", "as_json", is_flag=True, help="The wiring as it is kept on disk.")
def plan(conf: Path | None, session: str | None, socket_name: str | None, as_json: bool, **flags: Any) -> None:
    """Print the ports, rings and patches that each chain of conf.yml would get; touch nothing."""
    from sppr.cli.gather import gather

    wiring = gather(conf, session, socket_name, flags, named_base=False).plan.wiring
    if as_json:
        click.echo(json.dumps(asdict(wiring), indent=1))
        return
    click.echo("\n".join(text(wiring)) or "conf.yml has no chains: docs/chain.md")


def text(wiring: Any) -> list[str]:
    """Lines of the plan of chains: a chain a paragraph, a patch a line."""
    lines: list[str] = []
    for chain in wiring.chains:
        lines.append(f"{chain.name}: {' → '.join(chain.path)}")
        for direction, legs in chain.directions:
            lines += [f"  {direction if leg is legs[0] else '':8} {_leg(leg)}" for leg in legs]
    lines += [f"{chain.name}: {' → '.join(chain.path)}\n  left out: {chain.why}" for chain in wiring.left_out]
    return lines


def _leg(leg: Any) -> str:
    hop = f"hop {leg.hop}" if leg.hop else "     "
    does = "its own software forwards from" if leg.own else "patch"
    return f"{hop}  {leg.by:8} {does} {leg.src} {'to ' * leg.own}{leg.dst}"
