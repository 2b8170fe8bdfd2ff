"""``sppr save``: what runs now, as sections of conf.yml or as a recipe."""

from pathlib import Path

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, Edge


@click.command(cls=Edge, context_settings=CONTEXT)
@options.verb_session
@click.option(
    "--recipe", type=click.Path(path_type=Path), metavar="FILE", help="Write commands of SPP's prompt: playback FILE."
)
def main(session: str | None, recipe: Path | None) -> None:
    """Print what runs now as chains: of conf.yml where it can be read as chains, the rest as patches:."""
    from sppr.cli.context import again
    from sppr.cli.session import load, session_of
    from sppr.errors import SpprError
    from sppr.lab.chains import observe, save
    from sppr.lab.chains.proof import testbed
    from sppr.lab.state import state as states

    state = states.check_living(load(session_of(session), session))
    if busy := testbed.in_use(state.folder):
        raise SpprError(
            f"a proof of {', '.join(busy)} is running, with probes at the ends", hint="save when it has ended"
        )
    parts = [part for part in state.plan.parts if part.name not in states.dead_parts(state)]
    guests = [f"nfv:{part.id}" for part in parts if part.is_vm]
    asked = [*observe.processes(parts, state.plan.wiring), *guests]
    observed = observe.look(state.plan.api, dict.fromkeys(asked))
    silent = [f"{name} {why}" for name, why in observed.silent.items() if name in asked and name not in guests]
    if silent:
        raise SpprError(f"not all can be saved: {'; '.join(silent)}", hint="sppr status")
    if recipe is not None:
        lines = save.recipe(parts, observed)
        recipe.write_text("\n".join(lines) + "\n")
        click.echo(f"{recipe}: {len(lines)} commands; at the prompt in ctrler: playback {recipe}")
        return
    lab = again(state)
    if lab is None:
        raise SpprError(f"{state.plan.conf} is gone, and it says what its parts are", hint="sppr save --recipe FILE")
    click.echo(save.save(lab.config, state.plan.wiring, parts, observed).text(), nl=False)
