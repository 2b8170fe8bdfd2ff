"""``sppr impair``: delay, lose, duplicate, corrupt, reorder or shape the frames of a chain or of one patch."""

import json
from dataclasses import asdict
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingCommand


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@click.argument("target", required=False, metavar="[CHAIN|PART:PORT]")
@click.argument("words", nargs=-1, metavar="[KEY=VALUE… | off]")
@options.verb_session
@click.option("--json", "as_json", is_flag=True, help="The impairments, as a list of objects.")
def main(target: str | None, words: tuple[str, ...], session: str | None, as_json: bool) -> None:
    """Impair each direction of a chain where frames enter, or one patch: sec1:tap:0 [vlan=100]. Without arguments, show
    the impairments and their counters.

    Keys as those of tc netem: delay jitter distribution loss duplicate corrupt reorder gap rate burst limit seed.
    Examples: delay=50ms jitter=5ms · loss=1% · loss=gemodel,1%,10% · rate=10mbit. The given keys replace all former
    ones. `sppr chain apply` sets those of conf.yml again.
    """
    from sppr.cli.session import own_session
    from sppr.errors import SpprError
    from sppr.lab.state import state as states

    name = own_session(session)
    if target is None or not words:
        if target is not None:
            raise SpprError(f"{target}: say how to impair it", hint=f"sppr impair {target} delay=20ms, or off")
        _show(states.load_same_boot(name), as_json)
        return
    if as_json:
        raise click.UsageError("--json shows impairments: leave out the arguments")
    with states.locked(name):
        _impair(states.load_same_boot(name), target, words)


def _impair(state: Any, target: str, words: tuple[str, ...]) -> None:
    from dataclasses import replace

    from sppr import impairment
    from sppr.errors import ControlError, SpprError
    from sppr.lab.chains import impair
    from sppr.spp.control import ControlClient

    wiring = state.plan.wiring
    selector, text = map(" ".join, impairment.split(words))
    try:
        impairment.check(text)
    except ValueError as error:
        raise SpprError(str(error), hint="sppr impair --help") from None
    patches = impair.patches(wiring, state.plan.parts, target, selector)
    client = ControlClient(state.plan.api)
    for patch in patches:
        try:
            client.impair(patch.process, patch.source, text)
        except ControlError as e:
            e.what = f"{patch.by}: {patch.source}: {e.what}"
            raise
        state.plan = replace(state.plan, wiring=impair.impaired(state.plan.wiring, [patch], text))
        state.save()
        click.echo(f"{patch.by}: {patch.source}: {'no impairment' if text == impairment.OFF else text}")


def _show(state: Any, as_json: bool) -> None:
    from sppr.lab.chains import impair, status

    found = impair.rows(state.plan.wiring, status.observe_chains(state))
    if as_json:
        click.echo(json.dumps([asdict(row) for row in found], indent=1))
        return
    if not found:
        click.echo("no patch is impaired; sppr impair CHAIN delay=20ms")
    for row in found:
        patch, counts = row.patch, row.found
        chain = f"chain {row.chain} {row.direction}: " if row.chain else ""
        click.echo(f"{chain}{patch.by}: {patch.source} -> {row.dst}  {counts.words}")
        numbers = {
            key: value for key, value in asdict(counts).items() if key != "words" and (value or key == "offered")
        }
        click.echo("    " + "  ".join(f"{key} {value:,}" for key, value in numbers.items()))
