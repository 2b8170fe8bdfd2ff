"""runscripts/run-vm.py: one VM of the lab, its serial console in this terminal."""

from pathlib import Path
from typing import Any

import click

from sppr.cli import options
from sppr.cli.become import PartEdge, become, begin
from sppr.cli.edge import CONTEXT


@click.command(cls=PartEdge, context_settings=CONTEXT)
@click.option("-t", "--type", "kind", type=click.Choice(["ring", "vhost"]), required=True, help="Kind of VM.")
@click.option(
    "-i", "--id", "vm_id", type=click.IntRange(0, 127), required=True, help="Id in conf.yml; 0: the template."
)
@click.option(
    "-d",
    "--ports",
    "numbers",
    type=options.Ids(),
    help="Numbers of its ports: 11 or 11,111.  [default: conf.yml, its id]",
)
@click.option("-c", "--cores", type=click.IntRange(1, 64), help="Virtual cores.  [default: conf.yml, 1]")
@click.option("-m", "--memory", type=click.IntRange(96), help="MiB.  [default: conf.yml, 256]")
@options.conf
@options.session
@options.dry_run
def main(
    kind: Any,
    vm_id: int,
    numbers: tuple[int, ...] | None,
    conf: Path | None,
    session: str | None,
    dry_run: bool,
    **words: Any,
) -> None:
    """Run a VM under QEMU. Ctrl-A x ends it, Ctrl-A c shows QEMU's monitor, Ctrl-C goes to the guest."""
    from sppr.cli.gather import site_of
    from sppr.host import facts
    from sppr.lab import vms
    from sppr.roles.part import vm_name

    config, site = site_of(conf, session)
    begin(vm_name(kind, vm_id), site.run, dry_run)
    given = {name: value for name, value in words.items() if value is not None}
    config = config.model_copy(update={"vm": config.vm.model_copy(update=given)})
    part = vms.by_hand(config, facts.read(), site, kind, vm_id, numbers)
    if not dry_run:
        _make_ready(part, config, site, kind, vm_id)
    become(part.name, part.program, site.run, dry_run)


def _make_ready(part: Any, config: Any, site: Any, kind: Any, vm_id: int) -> None:
    """Its disk, its key, and its vhost sockets: asked for at the controller where nobody listens yet."""
    from sppr.deadline import Deadline
    from sppr.errors import HostError
    from sppr.host import region
    from sppr.host.facts import unix_listening
    from sppr.host.rundir import make_private
    from sppr.lab import provision
    from sppr.lab.materials import make_images, make_key
    from sppr.lab.plan import Image, api_socket
    from sppr.qemu.parts import QEMU
    from sppr.roles import probe
    from sppr.roles.probe import VHOST_TIMEOUT
    from sppr.run import find_program

    find_program(QEMU)
    if site.store is None:
        raise site.no_store or HostError("no base image")
    make_private(site.run)
    make_key(site.public_key)
    if vm_id == 0:
        site.store.check_template_free(kind)
    filler = provision.of(config, site.folder)
    make_images([Image(kind, vm_id)], site.store, lambda line: click.echo(line, err=True), filler)
    for path in part.regions:
        region.make(Path(path))
    if part.regions:
        _serve_regions(part, api_socket(site.run))
    if not set(part.sockets) <= unix_listening():
        probe.serve_vhosts(api_socket(site.run), part.server, part.ports, part.sockets, Deadline(VHOST_TIMEOUT))


def _serve_regions(part: Any, api: Path) -> None:
    """Ask for the host's end of its ring ports. The VM can start without: it is served as soon as somebody adds it."""
    from sppr.errors import ControlError
    from sppr.roles import probe

    try:
        probe.serve(api, part.server, part.ports)
    except ControlError:
        target = part.server.replace(":", " ").replace("primary", "pri")
        click.echo(f"note: nobody serves {', '.join(part.ports)} yet; at the prompt: {target}; add {part.ports[0]}")
