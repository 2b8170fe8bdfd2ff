"""``sppr image``: base images, templates and instances."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingGroup, renamed
from sppr.images.build import MIN_MIB
from sppr.images.rootfs import SUITE, SUITES
from sppr.images.store import BUILD_HINT

KIND = click.Choice(["ring", "vhost", "normal"])


@click.group(cls=ErrorReportingGroup, context_settings=CONTEXT)
def main() -> None:
    """Manage base images, templates over them, and instances of VMs."""


def _folder(conf: Path | None) -> tuple[Any, Any, Path]:
    """Return conf.yml, the paths of the lab, and the folder of images."""
    from sppr.cli.context import load_paths
    from sppr.lab.paths import images_folder

    config, paths = load_paths(conf, None)
    return config, paths, images_folder(paths.folder, config.images.dir)


@contextmanager
def _bar(label: str) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on stderr; without a terminal, one line."""
    with click.progressbar(length=1000, label=label, file=sys.stderr) as bar:
        yield lambda share: bar.update(int(share * 1000) - bar.pos)


def _complete(ctx: click.Context, incomplete: str, roles: Sequence[str]) -> list[str]:
    """Complete names of images. Return nothing if conf.yml cannot be read."""
    from sppr.errors import SpprError
    from sppr.images import listing

    try:
        found = [entry for entry in listing.list_by_name(_folder(ctx.params.get("conf"))[2]) if entry.role in roles]
    except SpprError:
        return []
    words = [f"vm-{entry.vm}" for entry in found if entry.vm] + [entry.name for entry in found]
    return [word for word in words if word.startswith(incomplete)]


def _instances(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    return _complete(ctx, incomplete, ("instance",))


def _images(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    return _complete(ctx, incomplete, ("base", "template", "instance"))


@main.command("list")
@options.conf
@click.option("--json", "as_json", is_flag=True, help="A list of objects: name role vm path format size disk chain …")
def list_(conf: Path | None, as_json: bool) -> None:
    """List images: size in the guest and on disk, backing files, the processes that use it, and faults."""
    from sppr.images import listing

    folder = _folder(conf)[2]
    found = listing.entries(folder)
    if as_json:
        click.echo(json.dumps([_as_json(entry) for entry in found], indent=1))
        return
    if not found:
        click.echo(f"{folder}: no image yet: {BUILD_HINT}")
        return
    width = max(len("NAME"), *(len(entry.name) for entry in found))
    click.echo(f"{'NAME':{width}}  {'ROLE':8} {'MiB':>6} {'ON DISK':>7}  OVER, RUN BY")
    for entry in found:
        over = " > ".join(path.name for path in entry.chain)
        run_by = "  run by " + ", ".join(map(str, entry.holders)) if entry.holders else ""
        size = f"{_mib(entry.size):>6} {_mib(entry.disk):>7}" if entry.format else " " * 14
        line = f"{entry.name:{width}}  {entry.role:8} {size}  {'over ' + over if over else ''}{run_by}"
        click.echo(line.rstrip())
        if entry.fault:
            click.secho(f"    {entry.fault.what}", fg="red")


def _mib(size: int) -> int:
    return (size + (1 << 20) - 1) >> 20


def _as_json(entry: Any) -> dict[str, Any]:
    return {
        "name": entry.name,
        "role": entry.role,
        "kind": entry.kind,
        "vm": entry.vm,
        "base": entry.base,
        "path": str(entry.path),
        "format": entry.format or None,
        "size": entry.size,
        "disk": entry.disk,
        "chain": [str(path) for path in entry.chain],
        "run_by": [{"name": h.name, "pid": h.pid, "writes": h.writes} for h in entry.holders],
        "spp_vm": entry.spp_vm,
        "fault": entry.fault.what if entry.fault else None,
    }


@main.command()
@options.conf
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Output file.  [default: in images.dir of conf.yml]"
)
@click.option("--suite", type=click.Choice(SUITES), default=SUITE, show_default=True, help="Release of Debian.")
@click.option(
    "--size", type=options.Mib(), default="2G", show_default=True, help="Size of the disk in the guest: 512M, 8G."
)
def build(conf: Path | None, output: Path | None, suite: str, size: int) -> None:
    """Build a base image from Debian's packages: apt, sshd, a root shell on the serial console, no password.

    It is built once per machine: other folders get it from the cache. For newer packages: sppr image rm --cache.
    """
    from sppr.images import base_cache
    from sppr.images.build import base_name

    if size < MIN_MIB:
        raise click.BadParameter(f"{size} MiB is too small: at least {MIN_MIB}", param_hint="--size")
    target = output or _folder(conf)[2] / base_name(suite)
    base_cache.provide(target, size_mib=size, suite=suite, report=click.echo)
    click.echo(str(target))


def _import_options(command: Any) -> Any:
    """Add the options of ``image import`` to a command."""
    for option in reversed((
        options.conf,
        click.argument("file", type=click.Path(path_type=Path)),
        click.option("--name", help="File name of the base image.  [default: that of FILE, .qcow2]"),
        click.option("--format", "image_format", type=click.Choice(["raw"]), help="FILE is a raw disk."),
        click.option("--flatten", is_flag=True, help="Copy in the other files that FILE uses, and list them."),
    )):  # fmt: skip
        command = option(command)
    return command


@main.command("import")
@_import_options
def import_(conf: Path | None, file: Path, name: str | None, image_format: str | None, flatten: bool) -> None:
    """Copy FILE to the base images, as a qcow2: any Linux cloud or server image, in any format of QEMU."""
    _import(conf, file, name, image_format, flatten)


@main.command(hidden=True)
@_import_options
def add(conf: Path | None, file: Path, name: str | None, image_format: str | None, flatten: bool) -> None:
    """Run ``import`` under its name up to 0.1."""
    renamed("sppr image add", "sppr image import")
    _import(conf, file, name, image_format, flatten)


def _import(conf: Path | None, file: Path, name: str | None, image_format: str | None, flatten: bool) -> None:
    from sppr.images import edit, store

    config, _, folder = _folder(conf)
    with _bar(f"importing {file.name}") as progress:
        reads = (lambda part: click.echo(f"reads {part}")) if flatten else None
        target = edit.import_image(folder, file, name, image_format, progress, reads)
    click.echo(str(target))
    bases = store.base_candidates(folder)
    if config.images.base is None and len(bases) > 1:
        click.echo(
            f"there are {len(bases)} base images now, so conf.yml must name one: otherwise wakeup refuses to start\n"
            f"  images: {{base: {target.name}}}   to use the new one"
        )
        for other in bases:
            if other != target.name:
                click.echo(f"  images: {{base: {other}}}   to keep using it: existing VMs are overlays of it")
    elif config.images.base not in (None, target.name):
        click.echo(f"to use it, in conf.yml: images: {{base: {target.name}}}")


@main.command()
@options.conf
@click.option("--force", is_flag=True, help="Rebuild an existing template. Refused while instances use it.")
@click.argument("kind", type=KIND)
def build_template(conf: Path | None, kind: Any, force: bool) -> None:
    """Build the template of ring or vhost VMs, with the provision steps of conf.yml and spp_vm. wakeup does so, too.

    With --force, the old template stays until the new one is complete.
    """
    _build_template(conf, kind, force)


def _build_template(conf: Path | None, kind: Any, force: bool) -> None:
    from sppr.lab.up import provision

    config, paths, _ = _folder(conf)
    store, filler = paths.require_store(), provision.provisioner(config, paths.folder)
    if force:
        click.echo(store.rebuild_template(kind, click.echo, filler))
        return
    there = store.template(kind).exists()
    made = store.ensure_template(kind, click.echo, filler)
    click.echo(
        f"{made}{': exists already; to build it again: sppr image build-template --force ' + kind if there else ''}"
    )


@main.command(hidden=True)
@options.conf
@click.argument("kind", type=KIND)
def template(conf: Path | None, kind: Any) -> None:
    """Run ``build-template`` under its name up to 0.1."""
    renamed("sppr image template", "sppr image build-template")
    _build_template(conf, kind, force=False)


@main.command("provision", hidden=True)
@options.conf
@click.argument("kind", type=KIND)
def provision_(conf: Path | None, kind: Any) -> None:
    """Run ``build-template --force`` under its name up to 0.1."""
    renamed("sppr image provision", "sppr image build-template --force")
    _build_template(conf, kind, force=True)


@main.command()
@options.conf
@click.argument("vm", nargs=-1, required=True, shell_complete=_instances)
def reset(conf: Path | None, vm: tuple[str, ...]) -> None:
    """Create the instances of VMs (11, v11 or vm-v11) again from their templates. Their content is lost."""
    from sppr.images import edit

    edit.reset_instances(_folder(conf)[2], vm, click.echo)


@main.command()
@options.conf
@click.option("--cache", is_flag=True, help="Remove base images and saved states that are kept for this machine.")
@click.argument("image", nargs=-1, shell_complete=_images)
def rm(conf: Path | None, cache: bool, image: tuple[str, ...]) -> None:
    """Remove images, by file name or VM. Refused while a process uses one, or another image needs it."""
    from sppr.images import base_cache, edit
    from sppr.qemu.warm import states

    if not cache and not image:
        raise click.UsageError("name an image (sppr image list), or use --cache")
    if image:
        edit.remove_images(_folder(conf)[2], image, click.echo)
    if cache:
        base_cache.clear(click.echo)
        for folder in states.clear():
            click.echo(f"removed {folder}")


@main.command()
@options.conf
def check(conf: Path | None) -> int:
    """Read all images, and print each fault with its fix. Exit status 3 if there is an error."""
    from sppr.errors import HostError
    from sppr.images import listing

    config, _, folder = _folder(conf)
    findings = listing.check(folder, config.images.format)
    for finding in findings:
        click.echo(f"{finding.severity}: {finding.id}: {finding.what}\n    fix: {finding.fix}")
    if not findings:
        there = listing.entries(folder)
        click.echo(f"{folder}: no faults found" if there else f"{folder}: no image yet: {BUILD_HINT}")
    return HostError.exit_code if any(finding.severity == "error" for finding in findings) else 0
