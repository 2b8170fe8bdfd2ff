"""``sppr spp``: source trees of upstream SPP."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingGroup

if TYPE_CHECKING:
    from sppr.spp.inventory import Tree

#: Where trees usually are.
_USUAL = (".", "~", "/opt", "/usr/src", "/usr/local/src")


@click.group(cls=ErrorReportingGroup, context_settings=CONTEXT)
def main() -> None:
    """Source trees of upstream SPP on this machine."""


@main.command("list")
@click.argument("folders", metavar="[FOLDER]...", nargs=-1, type=click.Path(exists=True, file_okay=False))
@options.conf
@click.option("--json", "as_json", is_flag=True, help="A list of objects: path release builds problems.")
def list_(folders: tuple[str, ...], conf: Path | None, as_json: bool) -> None:
    """List source trees of SPP, what each of them has and lacks, and the line for conf.yml.

    Without FOLDER it searches the tree that conf.yml names, this folder, the home folder, /opt, /usr/src and
    /usr/local/src, each to two levels below.
    """
    from sppr.spp import inventory

    named, python = _of_conf(conf)
    places = [Path(f) for f in folders] or [*([named] if named else []), *(Path(p).expanduser() for p in _USUAL)]
    found = inventory.find(place.absolute() for place in places)
    trees = [inventory.inspect(path, python if named and path == named.resolve() else None) for path in found]
    if as_json:
        click.echo(json.dumps([_as_json(tree) for tree in trees], indent=1, ensure_ascii=False))
        return
    if not trees:
        click.echo(f"no SPP tree in {', '.join(map(str, places))}")
    for tree in trees:
        _print(tree)


def _of_conf(conf: Path | None) -> tuple[Path | None, str | None]:
    """Return the tree and the Python that conf.yml names. Without a conf.yml that can be read, both are None."""
    from sppr.cli.context import load_paths
    from sppr.errors import SpprError

    try:
        config, paths = load_paths(conf, None)
    except SpprError:
        if conf is not None:
            raise
        return None, None
    return paths.tree, config.spp.python


def _as_json(tree: "Tree") -> dict[str, Any]:
    return asdict(tree) | {"path": str(tree.path)}


def _print(tree: "Tree") -> None:
    click.echo(f"{tree.path}: SPP {tree.release}{' or later' if tree.release == '19.11' else ''}")
    for build in tree.builds:
        dpdk = f"DPDK {build.dpdk}" if build.dpdk else "unknown DPDK"
        click.echo(
            f"    target {build.target}: {' '.join(build.programs)}; {dpdk}; {' '.join(build.drivers)}".rstrip("; ")
        )
    for problem in tree.problems:
        what = click.style(problem.what, fg="red")
        click.echo(f"    {what}" + (f"\n        fix: {problem.fix}" if problem.fix else ""))
    for build in tree.builds:
        click.echo(f"    conf.yml: spp: {{ dir: {tree.path}, target: {build.target} }}")
