"""``sppr setup``: prepare this machine. ``make up`` calls it."""

from pathlib import Path

import click

from sppr.cli import options
from sppr.cli.errors import CONTEXT, ErrorReportingCommand


@click.command(cls=ErrorReportingCommand, context_settings=CONTEXT)
@options.conf
@click.option("--no-image", is_flag=True, help="Do not build a base image.")
def main(conf: Path | None, no_image: bool) -> None:
    """Prepare this machine for a lab.

    Reserves hugepages, mounts hugetlbfs, adds the user that VMs run as, and builds the data plane and a base image from
    Debian's packages. Steps that are already done are skipped.
    """
    from sppr.cli.context import load_paths
    from sppr.cli.terminal.sudo_prompt import show_commands
    from sppr.host import setup
    from sppr.host.root import vm_user
    from sppr.images.store import base_candidates
    from sppr.lab.paths import images_folder
    from sppr.run import run
    from sppr.spp import tree

    show_commands()
    config, paths = load_paths(conf, None)
    used = setup.used_mib(Path(config.hugepages), config.spp.file_prefix or paths.session)
    setup.hugepages(config.primary.memory + setup.SPARE_MIB - used, click.echo)
    setup.hugetlbfs(Path(config.hugepages), click.echo)
    vm_user.ensure(click.echo)
    if config.spp.dir is None and not (tree.BUILD_DIR / "spp_primary").exists():
        click.echo(f"data plane: building it in {tree.BUILD_DIR.parent}")
        run(["make", "-s", "-C", tree.BUILD_DIR.parent])
    folder = images_folder(paths.folder, config.images.dir)
    if not no_image and config.images.base is None and not base_candidates(folder):
        from sppr.images.base_cache import ensure_base
        from sppr.images.build import BASE_NAME

        click.echo(f"no base image in {folder}: building {BASE_NAME} from Debian's packages (about a minute, once)")
        ensure_base(folder / BASE_NAME, report=click.echo)
